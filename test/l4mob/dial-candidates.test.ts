import { expect, it } from 'vitest';
import { dialCandidates } from '../../src/l4mob/io/dial-candidates.ts';

const TO = [
  { ip: '2001:db8::1', port: 1 },
  { ip: '192.0.2.1', port: 1 },
];

it('where nobody prefers a source, destinations are dialed as the kernel has it', () => {
  expect(dialCandidates(TO, () => [])).toEqual(TO.map((to) => ({ ...to, rank: 0 })));
});

it('all destinations come from their best sources before any comes from the next', () => {
  const sources: Readonly<Record<string, readonly string[]>> = {
    '2001:db8::1': ['2001:db8:a::1', '2001:db8:b::1'],
    '192.0.2.1': ['198.51.100.1'],
  };
  expect(dialCandidates(TO, (ip) => sources[ip] ?? []).map(({ ip, localAddress }) => [ip, localAddress])).toEqual([
    ['2001:db8::1', '2001:db8:a::1'],
    ['192.0.2.1', '198.51.100.1'],
    ['2001:db8::1', '2001:db8:b::1'],
  ]);
});

it('there are at most 16 of them', () => {
  const many = Array.from({ length: 9 }, (_, i) => ({ ip: `192.0.2.${i}`, port: 1 }));
  const candidates = dialCandidates(many, () => ['198.51.100.1', '198.51.100.2', '198.51.100.3']);
  expect(candidates.map(({ rank }) => rank)).toEqual([...Array(9).fill(0), ...Array(7).fill(1)]);
});
