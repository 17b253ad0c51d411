/** One L4_INIT exchange for all connections that are opened to one destination at once. */
import { describe, expect, test } from 'vitest';
import type { TcpConnection } from '../../src/host/tcp-connection.ts';
import { type ContactParticipant, FirstContacts } from '../../src/l4mob/io/first-contact.ts';
import type { Agreement, HandshakeHandlers } from '../../src/l4mob/io/handshake-runner.ts';
import type { OpenRequest } from '../../src/l4mob/io/mobile-stream.ts';
import type { Peer } from '../../src/l4mob/io/peer.ts';

const REQUEST: OpenRequest = { addresses: ['192.0.2.1', '192.0.2.2'], port: 80 };
const PEER = {} as Peer;

class Bench {
  readonly exchanges: { request: OpenRequest; handlers: HandshakeHandlers; referenced: boolean }[] = [];
  readonly told: string[] = [];
  connectionClosed = false;
  readonly contacts: FirstContacts = new FirstContacts({
    handshake: (request, handlers) => {
      const exchange = { request, handlers, referenced: true };
      this.exchanges.push(exchange);
      return {
        goOnUnreferenced: () => {
          exchange.referenced = false;
        },
      };
    },
    remember: () => {
      this.told.push('remember');
      return PEER;
    },
    rememberAware: () => void this.told.push('aware'),
  });

  participant(name: string, takes = true): ContactParticipant {
    return {
      agreed: (_peer, _roundTripMs, offered) => {
        this.told.push(`${name} agreed${offered === undefined ? '' : ', offered'}`);
        return takes;
      },
      failed: (reason) => void this.told.push(`${name} failed: ${reason}`),
    };
  }

  agree(exchange: number, inBand = false): void {
    const close = (): void => {
      this.connectionClosed = true;
    };
    const connection = { close } as unknown as TcpConnection;
    const agreement = { contactIp: '192.0.2.1', roundTripMs: 5, ...(inBand ? { connection } : {}) } as Agreement;
    this.exchanges[exchange]?.handlers.onAgreed(agreement);
  }
}

describe('first contact', () => {
  test('connections opened at once share one exchange, and one of them takes what was offered', () => {
    const bench = new Bench();
    for (const name of ['a', 'b', 'c']) bench.contacts.join(REQUEST, bench.participant(name, name !== 'a'));
    expect(bench.exchanges).toHaveLength(1);
    bench.agree(0);
    expect(bench.told).toEqual(['remember', 'a agreed, offered', 'b agreed, offered', 'c agreed']);
  });

  test('other destinations, ports and local addresses have exchanges of their own', () => {
    const bench = new Bench();
    const others = [{ port: 81 }, { addresses: ['192.0.2.2'] }, { localAddress: '192.0.2.9' }, { sessionPort: 81 }];
    for (const other of [{}, ...others]) bench.contacts.join({ ...REQUEST, ...other }, bench.participant('x'));
    expect(bench.exchanges).toHaveLength(5);
  });

  test('a failure is told to everyone who waits, and the next connection tries again', () => {
    const bench = new Bench();
    for (const name of ['a', 'b']) bench.contacts.join(REQUEST, bench.participant(name));
    bench.exchanges[0]?.handlers.onFailed('unaware');
    expect(bench.told).toEqual(['a failed: unaware', 'b failed: unaware']);
    bench.contacts.join(REQUEST, bench.participant('c'));
    expect(bench.exchanges).toHaveLength(2);
  });

  test('the exchange keeps the process alive until the last participant has left; a late answer is remembered', () => {
    const bench = new Bench();
    const [a, b] = [bench.participant('a'), bench.participant('b')];
    const contact = bench.contacts.join(REQUEST, a);
    bench.contacts.join(REQUEST, b);
    contact.leave(a);
    expect(bench.exchanges[0]?.referenced).toBe(true);
    contact.leave(b);
    contact.leave(b);
    expect(bench.exchanges[0]?.referenced).toBe(false);
    bench.contacts.join(REQUEST, bench.participant('c'));
    expect(bench.exchanges[1]?.referenced).toBe(true);
    bench.agree(0, true);
    expect(bench.told).toEqual(['aware']);
    expect(bench.connectionClosed).toBe(true);
  });

  test('a connection made for the offer is closed where nobody takes it', () => {
    const bench = new Bench();
    bench.contacts.join(REQUEST, bench.participant('a', false));
    bench.agree(0, true);
    expect(bench.connectionClosed).toBe(true);
  });
});
