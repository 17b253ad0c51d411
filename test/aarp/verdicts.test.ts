/** What aarpd remembers, and the file in which it does. */
import { describe, expect, it } from 'vitest';
import { MAX_VERDICT_MS } from '../../src/aarp/daemon-protocol.ts';
import { decodeVerdictFile, encodeVerdictFile, VERDICT_FILE_LIMIT_BYTES } from '../../src/aarp/verdict-file.ts';
import { DEFAULT_VERDICT_LIMIT, type Verdict, VerdictStore } from '../../src/aarp/verdict-store.ts';
import { WireError } from '../../src/core/errors.ts';

const NOW = 1_790_000_000_000;
const ANYCAST: Verdict = {
  about: 'cast',
  subject: 'fd00::53',
  verdict: 'anycast',
  unicast: '2001:db8::7',
  until: NOW + 60_000,
};
const PLAIN: Verdict = { about: 'mobility', subject: '[2001:db8::1]:443', verdict: 'plain', until: NOW + 1 };
const SAMPLES: readonly Verdict[] = [
  ANYCAST,
  PLAIN,
  { about: 'mobility', subject: '192.0.2.1:80', verdict: 'mobile', until: NOW + 5 },
  { about: 'cast', subject: 'fd00::54', verdict: 'anycast', until: NOW + 5 },
  { about: 'cast', subject: 'fe80::1%eth0', verdict: 'unicast', until: NOW + 5 },
];

describe('the store', () => {
  it('tells a verdict until its time is over', () => {
    const store = new VerdictStore();
    store.put(ANYCAST);
    expect(store.get(NOW + 59_999, ANYCAST)).toEqual(ANYCAST);
    expect(store.get(NOW + 60_000, ANYCAST)).toBeUndefined();
    expect(store.size).toBe(0);
  });

  it('keeps the kinds apart', () => {
    const store = new VerdictStore();
    for (const verdict of SAMPLES) store.put(verdict);
    store.deleteAll('cast');
    expect(store.current(NOW).map(({ about }) => about)).toEqual(['mobility', 'mobility']);
  });

  it('forgets what was said longest ago when it is full', () => {
    const store = new VerdictStore(2);
    const [first, second, third] = SAMPLES as [Verdict, Verdict, Verdict];
    store.put(first);
    store.put(second);
    store.put(first);
    store.put(third);
    expect(store.current(NOW)).toEqual([first, third]);
  });

  it('counts its changes, and nothing else', () => {
    const store = new VerdictStore();
    store.put(PLAIN);
    expect(store.changes).toBe(1);
    store.get(NOW, PLAIN);
    store.delete(ANYCAST);
    expect(store.changes).toBe(1);
    store.delete(PLAIN);
    expect(store.changes).toBe(2);
  });
});

describe('the file', () => {
  const bytesOf = (text: string): Uint8Array => Buffer.from(text, 'latin1');

  it('brings back what was put in', () => {
    const text = encodeVerdictFile(SAMPLES);
    expect(text.split('\n')[1]).toBe(`cast fd00::53 anycast 2001:db8::7 ${NOW + 60_000}`);
    expect(decodeVerdictFile(bytesOf(text), NOW)).toEqual(SAMPLES);
    expect(decodeVerdictFile(bytesOf(encodeVerdictFile([])), NOW)).toEqual([]);
  });

  it('leaves out what is over, and believes no clock that was ahead', () => {
    const far = { ...PLAIN, until: NOW + 10 * MAX_VERDICT_MS };
    const text = encodeVerdictFile([far, { ...ANYCAST, until: NOW }]);
    expect(decodeVerdictFile(bytesOf(text), NOW)).toEqual([{ ...far, until: NOW + MAX_VERDICT_MS }]);
  });

  it('is refused wherever it is cut off', () => {
    const text = encodeVerdictFile(SAMPLES);
    for (let length = 0; length < text.length; length++) {
      expect(() => decodeVerdictFile(bytesOf(text.slice(0, length)), NOW), `${length} bytes`).toThrow(WireError);
    }
  });

  it.each([
    ['aarpd-verdicts 2\nend 0\n', 'line 1: expected "aarpd-verdicts 1"'],
    ['aarpd-verdicts 1\nend 1\n', 'line 2: expected the end'],
    ['aarpd-verdicts 1\ncast fd00::53 unicast - x\nend 1\n', 'line 2: no verdict'],
    ['aarpd-verdicts 1\ncast fd00::53 unicast fd00::1 1790000000001\nend 1\n', 'line 2: no verdict'],
    ['aarpd-verdicts 1\ncast fd00::53 anycast 1790000000001\nend 1\n', 'line 2: no verdict'],
    ['aarpd-verdicts 1\nmobility fd00::53 plain 1790000000001\nend 1\n', 'line 2: no verdict'],
    ['aarpd-verdicts 1\nmobility [::1]:1 plain - 1790000000001\nend 1\n', 'line 2: no verdict'],
    ['aarpd-verdicts 1\nmobility [::1]:1 unicast 1790000000001\nend 1\n', 'line 2: no verdict'],
    ['aarpd-verdicts 1\nmobility [::1]:1 plain 1790000000001\nfame [::1]:1 plain 1\nend 2\n', 'line 3: no verdict'],
  ])('%j is refused, and the line named', (text, message) => {
    expect(() => decodeVerdictFile(bytesOf(text), NOW)).toThrow(message);
  });

  it('of a full store is not larger than what is read', () => {
    const longest = 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff%longestzonename';
    const verdict: Verdict = { about: 'cast', subject: longest, verdict: 'anycast', unicast: longest, until: NOW + 1 };
    const text = encodeVerdictFile([verdict]);
    expect(text.length * DEFAULT_VERDICT_LIMIT).toBeLessThan(VERDICT_FILE_LIMIT_BYTES);
  });
});
