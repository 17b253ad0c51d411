/** Companions on real sockets: the addresses of loopback stand for those of a host with several. */
import dgram from 'node:dgram';
import { once } from 'node:events';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { familyOf } from '../../src/core/address.ts';
import type { LocalAddress } from '../../src/host/local-addresses.ts';
import { Companions, type CompanionsInit, MAX_COMPANIONS } from '../../src/l4mob/io/companions.ts';

const FIRST = local('127.0.0.1');
const SECOND = local('127.0.0.2');
const THIRD = local('127.0.0.3');

function local(ip: string, scope: LocalAddress['scope'] = 'global'): LocalAddress {
  const flags = { tentative: false, deprecated: false, temporary: false };
  return { ip, scope, prefixLength: 8, interfaceName: 'test', interfaceIndex: 9, ...flags };
}

describe('companions of a listener', () => {
  let own: LocalAddress[];
  let port: number;
  let errors: string[];
  let open: { close(): void }[];

  beforeEach(async () => {
    own = [];
    errors = [];
    open = [];
    // Free on every address now; on loopback nobody else is likely to take it meanwhile.
    const probe = dgram.createSocket('udp6').bind(0);
    await once(probe, 'listening');
    port = probe.address().port;
    probe.close();
    await once(probe, 'close');
  });
  afterEach(() => {
    for (const one of open) one.close();
  });

  function companions(init: Partial<CompanionsInit> = {}): Companions {
    const made = new Companions({
      address: '::',
      port,
      ipv6Only: false,
      ownAddresses: () => own,
      answer: (bytes) => bytes,
      onError: (address, error) => void errors.push(`${address} ${error.code}`),
      ...init,
    });
    open.push(made);
    return made;
  }

  /** Asks as an initiator does, from a connected socket: nothing from elsewhere is heard. */
  async function ask(ip: string): Promise<'answer' | 'refused'> {
    const socket = dgram.createSocket(familyOf(ip) === 6 ? 'udp6' : 'udp4');
    open.push(socket);
    socket.connect(port, ip);
    await once(socket, 'connect');
    socket.send('question');
    return once(socket, 'message').then(
      () => 'answer',
      () => 'refused',
    );
  }

  /** Where another program could have the port. */
  async function free(ip: string): Promise<boolean> {
    const socket = dgram.createSocket({ type: familyOf(ip) === 6 ? 'udp6' : 'udp4', ipv6Only: ip === '::' });
    const bound = new Promise<boolean>((resolve) => {
      socket.once('listening', () => resolve(true));
      socket.once('error', () => resolve(false));
    });
    socket.bind(port, ip);
    const is = await bound;
    socket.close();
    return is;
  }

  test('with one address of a family are one, on the wildcard address', async () => {
    own = [FIRST, local('::1')];
    expect(companions().perAddress).toBe(false);
    expect(await ask('127.0.0.1')).toBe('answer');
    expect(await ask('::1')).toBe('answer');
    expect(await free('127.0.0.9')).toBe(false);
  });

  test('with several answer from the one that was asked, and nobody else hears of it', async () => {
    own = [FIRST, SECOND, local('::1', 'host')];
    expect(companions().perAddress).toBe(true);
    for (const ip of ['127.0.0.1', '127.0.0.2', '::1']) expect(await ask(ip)).toBe('answer');
    expect(await free('127.0.0.9')).toBe(true);
    expect(await free('127.0.0.2')).toBe(false);
  });

  test('neither loopback nor link-local addresses make several', () => {
    own = [FIRST, local('127.0.0.2', 'host'), local('169.254.7.7', 'link'), local('fe80::1%lo', 'link')];
    expect(companions().perAddress).toBe(false);
    expect(errors).toEqual([]);
  });

  test('come and go with the addresses', async () => {
    own = [FIRST];
    const those = companions();
    own = [FIRST, SECOND];
    those.follow();
    expect(await ask('127.0.0.2')).toBe('answer');
    own = [FIRST, SECOND, THIRD];
    those.follow();
    expect(await ask('127.0.0.3')).toBe('answer');
    own = [FIRST, THIRD];
    those.follow();
    expect(await ask('127.0.0.2')).toBe('refused');
    expect(await ask('127.0.0.1')).toBe('answer');
    own = [FIRST];
    those.follow();
    expect(those.perAddress).toBe(false);
    expect(await free('127.0.0.2')).toBe(false);
  });

  test('a port that is taken on one address is missing there only, until the address comes anew', async () => {
    const holder = dgram.createSocket('udp4').bind(port, '127.0.0.2');
    await once(holder, 'listening');
    own = [FIRST, SECOND, THIRD];
    const those = companions();
    expect(await ask('127.0.0.1')).toBe('answer');
    expect(await ask('127.0.0.3')).toBe('answer');
    those.follow();
    expect(errors).toEqual(['127.0.0.2 EADDRINUSE']);
    holder.close();
    await once(holder, 'close');
    own = [FIRST, THIRD];
    those.follow();
    own = [FIRST, SECOND, THIRD];
    those.follow();
    expect(await ask('127.0.0.2')).toBe('answer');
  });

  test('are of the families of the listener', async () => {
    own = [FIRST, SECOND, local('::1')];
    companions({ ipv6Only: true });
    expect(await free('127.0.0.1')).toBe(true);
    expect(await free('::')).toBe(false);
    companions({ address: '0.0.0.0' });
    expect(await free('127.0.0.2')).toBe(false);
  });

  test('of a listener on one address are one, whatever addresses there are', async () => {
    own = [FIRST, SECOND];
    const those = companions({ address: '127.0.0.1' });
    expect(those.perAddress).toBe(false);
    expect(await ask('127.0.0.1')).toBe('answer');
    expect(await free('127.0.0.2')).toBe(true);
  });

  test('do not come back once closed', async () => {
    own = [FIRST, SECOND];
    const those = companions();
    those.close();
    those.follow();
    expect(await free('::')).toBe(true);
  });

  test('are no more than a listener may have, the widely reachable ones first', async () => {
    const many = Array.from({ length: MAX_COMPANIONS }, (_, i) => local(`127.0.1.${i + 1}`));
    own = [local('127.0.0.1', 'host'), ...many, FIRST];
    companions();
    expect(await ask(`127.0.1.${MAX_COMPANIONS}`)).toBe('answer');
    expect(await free('127.0.0.1')).toBe(true);
  });
});
