/** What aarpd remembers, and the file in which it does. */
import { describe, expect, it } from 'vitest';
import { MAX_VERDICT_MS } from '../../../src/aarp/daemon/daemon-protocol.ts';
import {
  decodeVerdictFile,
  encodeVerdictFile,
  type KeptVerdicts,
  VERDICT_FILE_LIMIT_BYTES,
} from '../../../src/aarp/daemon/verdict-file.ts';
import {
  DEFAULT_VERDICT_LIMIT,
  type DestinationVerdict,
  VerdictStore,
} from '../../../src/aarp/daemon/verdict-store.ts';
import { DEFAULT_RESOLVER_LIMITS } from '../../../src/aarp/limits.ts';
import { WireError } from '../../../src/core/errors.ts';

const NOW = 1_790_000_000_000;
const PLAIN: DestinationVerdict = { destination: '[2001:db8::1]:443', verdict: 'plain', until: NOW + 60_000 };
const MOBILE: DestinationVerdict = { destination: '192.0.2.1:80', verdict: 'mobile', until: NOW + 60_000 };
const SAMPLE: KeptVerdicts = {
  destinations: [PLAIN, MOBILE],
  resolutions: [
    { address: 'fd00::53', kind: 'anycast', unicast: '2001:db8::7', until: NOW + 1 },
    { address: 'fe80::1%eth0', kind: 'unicast', unicast: 'fe80::1%eth0', until: NOW + 5 },
  ],
};

describe('the store', () => {
  it('tells a verdict until its time is over', () => {
    const store = new VerdictStore();
    store.put(PLAIN);
    expect(store.get(NOW + 59_999, PLAIN.destination)).toEqual(PLAIN);
    expect(store.get(NOW + 60_000, PLAIN.destination)).toBeUndefined();
    expect(store.size).toBe(0);
  });

  it('knows the last word, and what still holds', () => {
    const store = new VerdictStore();
    store.put(PLAIN);
    store.put({ ...MOBILE, until: NOW });
    store.put({ ...PLAIN, verdict: 'mobile' });
    expect(store.current(NOW)).toEqual([{ ...PLAIN, verdict: 'mobile' }]);
  });

  it('forgets what was said longest ago when it is full', () => {
    const store = new VerdictStore(2);
    const third = { ...MOBILE, destination: '192.0.2.1:81' };
    for (const verdict of [PLAIN, MOBILE, PLAIN, third]) store.put(verdict);
    expect(store.current(NOW)).toEqual([PLAIN, third]);
  });
});

describe('the file', () => {
  const bytesOf = (text: string): Uint8Array => Buffer.from(text, 'latin1');

  it('brings back what was put in', () => {
    const text = encodeVerdictFile(SAMPLE);
    expect(text.split('\n')[3]).toBe(`cast fd00::53 anycast 2001:db8::7 ${NOW + 1}`);
    expect(decodeVerdictFile(bytesOf(text), NOW)).toEqual(SAMPLE);
    const nothing = { destinations: [], resolutions: [] };
    expect(decodeVerdictFile(bytesOf(encodeVerdictFile(nothing)), NOW)).toEqual(nothing);
  });

  it('leaves out what is over, and believes no clock that was ahead', () => {
    const far = { ...PLAIN, until: NOW + 10 * MAX_VERDICT_MS };
    const text = encodeVerdictFile({ ...SAMPLE, destinations: [far, { ...MOBILE, until: NOW }] });
    expect(decodeVerdictFile(bytesOf(text), NOW)).toEqual({
      ...SAMPLE,
      destinations: [{ ...far, until: NOW + MAX_VERDICT_MS }],
    });
  });

  it('is refused wherever it is cut off', () => {
    const text = encodeVerdictFile(SAMPLE);
    for (let length = 0; length < text.length; length++) {
      expect(() => decodeVerdictFile(bytesOf(text.slice(0, length)), NOW), `${length} bytes`).toThrow(WireError);
    }
  });

  it.each([
    ['aarpd-verdicts 2\nend 0\n', 'line 1: expected "aarpd-verdicts 1"'],
    ['aarpd-verdicts 1\nend 1\n', 'line 2: expected the end'],
    ['aarpd-verdicts 1\ncast fd00::53 unicast fd00::53 x\nend 1\n', 'line 2: no verdict'],
    ['aarpd-verdicts 1\ncast fd00::53 unicast fd00::1 1790000000001\nend 1\n', 'line 2: no verdict'],
    ['aarpd-verdicts 1\ncast fd00::53 anycast 1790000000001\nend 1\n', 'line 2: no verdict'],
    ['aarpd-verdicts 1\ncast fd00::53 anycast fd00::53 1790000000001\nend 1\n', 'line 2: no verdict'],
    ['aarpd-verdicts 1\ncast ff02::1 unicast ff02::1 1790000000001\nend 1\n', 'line 2: no verdict'],
    ['aarpd-verdicts 1\ncast fd00::53 anycast :: 1790000000001\nend 1\n', 'line 2: no verdict'],
    ['aarpd-verdicts 1\nmobility fd00::53 plain 1790000000001\nend 1\n', 'line 2: no verdict'],
    ['aarpd-verdicts 1\nmobility [::1]:1 plain - 1790000000001\nend 1\n', 'line 2: no verdict'],
    ['aarpd-verdicts 1\nmobility [::1]:1 unicast 1790000000001\nend 1\n', 'line 2: no verdict'],
    ['aarpd-verdicts 1\nmobility [::1]:1 plain 1790000000001\nfame [::1]:1 plain 1\nend 2\n', 'line 3: no verdict'],
  ])('%j is refused, and the line named', (text, message) => {
    expect(() => decodeVerdictFile(bytesOf(text), NOW)).toThrow(message);
  });

  it('of a full memory is not larger than what is read', () => {
    const longest = 'fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff%longestzonename';
    const destination = { ...MOBILE, destination: `[${longest}]:65535` };
    const resolution = { address: longest, kind: 'unicast', unicast: longest, until: NOW + 1 } as const;
    const bytes =
      encodeVerdictFile({ destinations: [destination], resolutions: [] }).length * DEFAULT_VERDICT_LIMIT +
      encodeVerdictFile({ destinations: [], resolutions: [resolution] }).length * DEFAULT_RESOLVER_LIMITS.entries;
    expect(bytes).toBeLessThan(VERDICT_FILE_LIMIT_BYTES);
  });
});
