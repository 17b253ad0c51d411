/** Suites against published vectors, and against tampering. */
import { createHmac } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { type MacPrefix, SUITES, type Suite, suiteById, suiteByName } from '../../src/l4mob/suite.ts';

const hex = (text: string): Buffer => Buffer.from(text.replace(/\s/g, ''), 'hex');

function prefixOf(nonce: Uint8Array, associated: Uint8Array): MacPrefix {
  return { whole: Buffer.concat([nonce, associated]), nonce, associated };
}

function named(name: string): Suite {
  const suite = suiteByName(name);
  if (suite === undefined) throw new Error(name);
  return suite;
}

describe('published vectors', () => {
  it('HMAC-SHA256, RFC 4231 test case 2, cut to 128 bits (the key goes in as it is)', () => {
    const sealer = named('hmac-sha256-128').sealer(Buffer.from('Jefe'));
    const prefix = prefixOf(Buffer.from('what do ya w'), Buffer.from('ant for'));
    const { tag, payload } = sealer.seal(prefix, [Buffer.from(' nothing'), Buffer.from('?')]);
    expect(Buffer.from(tag).toString('hex')).toBe('5bdcc146bf60754e6a042426089575c7');
    expect(Buffer.concat(payload).toString()).toBe(' nothing?');
  });

  it('HMAC-SHA256, RFC 4231 test case 1', () => {
    const sealer = named('hmac-sha256-128').sealer(Buffer.alloc(20, 0x0b));
    const { tag } = sealer.seal(prefixOf(Buffer.from('Hi '), Buffer.from('There')), []);
    expect(Buffer.from(tag).toString('hex')).toBe('b0344c61d8db38535ca8afceaf0bf12b');
  });

  it('GMAC: AES-128-GCM of nothing but associated data (NIST CAVP gcmEncryptExtIV128, AAD 128 bits)', () => {
    const sealer = named('aes-128-gmac').sealer(hex('77be63708971c4e240d1cb79e8d77feb'));
    const associated = hex('7a43ec1d9c0a5a78a0b16533a6213cab');
    const prefix = prefixOf(hex('e0e00f19fed7ba0136a797f3'), associated.subarray(0, 5));
    const { tag } = sealer.seal(prefix, [associated.subarray(5, 9), associated.subarray(9)]);
    expect(Buffer.from(tag).toString('hex')).toBe('209fcc8d3675ed938e9c7166709dd946');
  });

  it('AES-128-GCM, test case 4 of the GCM specification', () => {
    const sealer = named('aes-128-gcm').sealer(hex('feffe9928665731c6d6a8f9467308308'));
    const prefix = prefixOf(hex('cafebabefacedbaddecaf888'), hex('feedfacedeadbeeffeedfacedeadbeefabaddad2'));
    const plain = hex(`d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72
      1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39`);
    const { tag, payload } = sealer.seal(prefix, [plain.subarray(0, 7), plain.subarray(7)]);
    expect(Buffer.concat(payload).toString('hex')).toBe(
      '42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e21d514b25466931c7d8f6a5aac84aa051ba30b396a0aac973d58e091',
    );
    expect(Buffer.from(tag).toString('hex')).toBe('5bc94fbc3221a5db94fae95ae7121a47');
  });

  it('ChaCha20-Poly1305, RFC 8439 section 2.8.2', () => {
    const sealer = named('chacha20-poly1305').sealer(
      hex('808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f'),
    );
    const text =
      "Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, sunscreen would be it.";
    const prefix = prefixOf(hex('070000004041424344454647'), hex('50515253c0c1c2c3c4c5c6c7'));
    const { tag, payload } = sealer.seal(prefix, [Buffer.from(text)]);
    expect(Buffer.concat(payload).subarray(0, 16).toString('hex')).toBe('d31a8d34648e60db7b86afbc53ef7ec2');
    expect(Buffer.from(tag).toString('hex')).toBe('1ae10b594f09e26a7e902ecbd0600691');
  });
});

it('HMAC gives the same for a short and for a long message as node does', () => {
  const key = Buffer.alloc(32, 5);
  const prefix = prefixOf(Buffer.alloc(12, 1), Buffer.alloc(32, 2));
  for (const length of [0, 4052, 4053, 20_000]) {
    const payload = Buffer.alloc(length, 'x');
    const expected = createHmac('sha256', key).update(prefix.whole).update(payload).digest().subarray(0, 16);
    expect(Buffer.compare(named('hmac-sha256-128').sealer(key).seal(prefix, [payload]).tag, expected)).toBe(0);
  }
});

describe.each(SUITES.map((suite) => [suite.name, suite] as const))('%s', (_, suite) => {
  const key = Buffer.alloc(suite.keyBytes, 7);
  const prefix = prefixOf(Buffer.alloc(12, 1), Buffer.alloc(32, 2));
  const text = Buffer.from('the quick brown fox jumps over the lazy dog');

  function open(changed: { prefix?: MacPrefix; sealed?: Buffer; tag?: Buffer; key?: Buffer }): Buffer | undefined {
    const sealed = suite.sealer(key).seal(prefix, [text.subarray(0, 9), text.subarray(9)]);
    const opener = suite.opener(changed.key ?? key);
    const bytes = changed.sealed ?? Buffer.concat(sealed.payload);
    opener.start(changed.prefix ?? prefix, bytes.length);
    const plain = [bytes.subarray(0, 1), bytes.subarray(1, 30), bytes.subarray(30)].map((part) => opener.update(part));
    return opener.finish(changed.tag ?? Buffer.from(sealed.tag)) ? Buffer.concat(plain) : undefined;
  }

  it('opens what it sealed, in other pieces', () => {
    expect(open({})?.toString()).toBe(text.toString());
  });

  it.each([0, 1, 4000, 4096, 5000, 65_536])('opens a record of %d bytes', (length) => {
    const payload = Buffer.alloc(length, 'payload');
    const { payload: sealed, tag } = suite
      .sealer(key)
      .seal(prefix, [payload.subarray(0, 3000), payload.subarray(3000)]);
    const opener = suite.opener(key);
    opener.start(prefix, length);
    const opened = sealed.map((part) => opener.update(Buffer.from(part)));
    expect(opener.finish(tag)).toBe(true);
    expect(Buffer.concat(opened).equals(payload)).toBe(true);
  });

  it('hides the payload only where it is a sealed suite', () => {
    const sealed = Buffer.concat(suite.sealer(key).seal(prefix, [text]).payload);
    expect(sealed.equals(text)).toBe(!suite.sealed);
  });

  it('notices any change of nonce, header, payload, tag or key', () => {
    const sealed = Buffer.concat(suite.sealer(key).seal(prefix, [text]).payload);
    for (let i = 0; i < sealed.length; i++) {
      const changed = Buffer.from(sealed);
      changed[i] = (changed[i] as number) ^ 0x10;
      expect(open({ sealed: changed })).toBeUndefined();
    }
    expect(open({ sealed: sealed.subarray(1) })).toBeUndefined();
    expect(open({ prefix: prefixOf(Buffer.alloc(12, 9), prefix.associated) })).toBeUndefined();
    expect(open({ prefix: prefixOf(prefix.nonce, Buffer.alloc(32, 9)) })).toBeUndefined();
    expect(open({ tag: Buffer.alloc(16) })).toBeUndefined();
    expect(open({ key: Buffer.alloc(suite.keyBytes, 8) })).toBeUndefined();
  });

  it('finishes nothing that was not started', () => {
    expect(suite.opener(key).finish(Buffer.alloc(16))).toBe(false);
  });

  it('is found by id and by name', () => {
    expect(suiteById(suite.id)).toBe(suite);
    expect(suiteByName(suite.name)).toBe(suite);
  });
});

it('other ids and names are no suites', () => {
  expect([suiteById(0), suiteById(5), suiteByName('md5')]).toEqual([undefined, undefined, undefined]);
});
