import { describe, expect, it } from 'vitest';
import { loadPolicy } from '../../../src/socket/policy/load-policy.ts';
import type { ListenerPolicy, Mobility, OutgoingQuestion, Policy } from '../../../src/socket/policy/policy.ts';

function policyOf(file: object): Policy {
  return loadPolicy({ MOBISOCK_POLICY: 'p.json' }, () => Buffer.from(JSON.stringify(file)));
}

describe('without rules', () => {
  const loopback = [
    '127.0.0.1',
    '127.8.9.1',
    '::1',
    '0:0:0:0:0:0:0:1',
    '::ffff:127.0.0.1',
    '::ffff:7f00:1',
    '::',
    '0.0.0.0',
  ];
  it.each(loopback)('auto leaves %s alone, prefer and require do not', (address) => {
    const answers = ['off', 'auto', 'prefer', 'require'].map((mobility) =>
      policyOf({ mobility }).outgoing({ address, port: 80 }),
    );
    expect(answers).toEqual(['off', 'off', 'prefer', 'require']);
  });

  it.each(['192.0.2.1', '2001:db8::1', '::2', '::ffff:192.0.2.1', '0:1::1', 'fe80::1%eth0'])(
    'every mode holds for %s',
    (address) => {
      for (const mobility of ['off', 'auto', 'prefer', 'require'] as const) {
        expect(policyOf({ mobility }).outgoing({ address, port: 80 })).toBe(mobility);
      }
    },
  );

  it('auto takes an address to tell, the other modes do not', () => {
    expect(policyOf({}).outgoingByName('example.org', 1)).toBeUndefined();
    expect(policyOf({ mobility: 'off' }).outgoingByName('example.org', 1)).toBe('off');
    expect(policyOf({ mobility: 'require' }).outgoingByName('example.org', 1)).toBe('require');
  });
});

describe('rules', () => {
  const policy = policyOf({
    rules: [
      { to: '2001:db8:0:1::/64', port: 443, mobility: 'off' },
      { to: '2001:db8::/33', mobility: 'require' },
      { to: '10.1.2.128/25', mobility: 'prefer' },
      { to: '127.0.0.0/8', port: 7, mobility: 'auto' },
      { to: '127.0.0.0/8', mobility: 'prefer' },
      { to: 'Db.Example.ORG', mobility: 'off' },
      { to: '*.example.org', port: '8000-8100', mobility: 'require' },
      { to: 'bücher.example', mobility: 'off' },
      { port: 22, mobility: 'off' },
      { to: '0.0.0.0/1', mobility: 'prefer' },
      { to: '::/0', mobility: 'prefer' },
    ],
  });
  const high = '203.0.113.9';
  it.each<[string, OutgoingQuestion, Mobility]>([
    ['the first that matches wins', { address: '2001:db8:0:1::5', port: 443 }, 'off'],
    ['another port goes on to the next', { address: '2001:db8:0:1::5', port: 80 }, 'require'],
    ['a prefix ends within a byte', { address: '2001:db8:7fff::1', port: 80 }, 'require'],
    ['and not beyond it', { address: '2001:db8:8000::1', port: 80 }, 'prefer'],
    ['a zone plays no part', { address: '2001:db8::1%eth0', port: 80 }, 'require'],
    ['an IPv4 prefix takes the upper half', { address: '10.1.2.128', port: 1 }, 'prefer'],
    ['a mapped address is the IPv4 address', { address: '::ffff:10.1.2.129', port: 1 }, 'prefer'],
    ['auto in a rule leaves loopback alone', { address: '127.0.0.1', port: 7 }, 'off'],
    ['prefer in a rule takes loopback in', { address: '127.0.0.1', port: 8 }, 'prefer'],
    ['a name in any case', { host: 'db.EXAMPLE.org', address: high, port: 1 }, 'off'],
    ['a name with its final dot', { host: 'db.example.org.', address: high, port: 1 }, 'off'],
    ['a wildcard takes a label', { host: 'a.example.org', address: high, port: 8000 }, 'require'],
    ['a wildcard takes several labels', { host: 'a.b.example.org', address: high, port: 8100 }, 'require'],
    ['a wildcard leaves its own apex', { host: 'example.org', address: high, port: 8000 }, 'auto'],
    ['a wildcard keeps to label borders', { host: 'badexample.org', address: high, port: 8000 }, 'auto'],
    ['a range ends', { host: 'a.example.org', address: high, port: 8101 }, 'auto'],
    ['a name in Unicode', { host: 'BÜCHER.example', address: high, port: 1 }, 'off'],
    ['a name in its ASCII form', { host: 'xn--bcher-kva.example', address: high, port: 1 }, 'off'],
    ['a rule by port only', { address: high, port: 22 }, 'off'],
    ['the high bit of a word', { address: '127.255.255.255', port: 1 }, 'prefer'],
    ['no rule', { address: high, port: 1 }, 'auto'],
    ['::/0 is IPv6 only', { address: '198.51.100.1', port: 1 }, 'auto'],
    ['text that is no address matches no prefix', { address: 'nonsense', port: 1 }, 'auto'],
  ])('%s', (_, question, expected) => {
    expect(policy.outgoing(question)).toBe(expected);
  });

  it('tell by name alone up to the first prefix', () => {
    const byName = policyOf({
      rules: [
        { to: 'a.example', mobility: 'off' },
        { to: '10.0.0.0/8', port: 80, mobility: 'require' },
        { to: 'b.example', mobility: 'prefer' },
        { to: 'c.example', mobility: 'auto' },
        { port: 22, mobility: 'off' },
      ],
      mobility: 'require',
    });
    const ask = (host: string, port: number): unknown => byName.outgoingByName(host, port);
    expect(ask('A.example.', 80)).toBe('off');
    expect(ask('b.example', 80)).toBeUndefined();
    expect(ask('b.example', 81)).toBe('prefer');
    expect(ask('c.example', 81)).toBeUndefined();
    expect(ask('d.example', 22)).toBe('off');
    expect(ask('d.example', 81)).toBe('require');
  });
});

describe('listeners', () => {
  it('follow the mode, auto without loopback', () => {
    const policy = policyOf({});
    expect(policy.listener({ address: '::', port: 80 }).mobility).toBe('auto');
    expect(policy.listener({ address: '0.0.0.0', port: 80 }).mobility).toBe('auto');
    expect(policy.listener({ address: '127.0.0.1', port: 80 }).mobility).toBe('off');
    expect(policy.listener({ address: '::1', port: 80 }).mobility).toBe('off');
    expect(policyOf({ mobility: 'prefer' }).listener({ address: '::1', port: 80 }).mobility).toBe('prefer');
  });

  it('take what the first matching entry says', () => {
    const policy = policyOf({
      listeners: [
        { port: '8000-8001', mobility: 'off' },
        { address: '10.0.0.0/8', mobility: 'require' },
        { address: '::', port: 443, from: ['2001:db8::/32', '192.0.2.0/24'] },
        { address: '::1', mobility: 'auto' },
      ],
      mobility: 'prefer',
    });
    const ask = (address: string, port: number): Mobility => policy.listener({ address, port }).mobility;
    expect(ask('10.0.0.1', 8001)).toBe('off');
    expect(ask('10.0.0.1', 8002)).toBe('require');
    expect(ask('::', 443)).toBe('prefer');
    expect(ask('::1', 443)).toBe('off');
    expect(ask('192.0.2.1', 1)).toBe('prefer');
  });

  it('take sessions from whom they say, and from everyone where they say nothing', () => {
    const policy = policyOf({ listeners: [{ port: 443, from: ['2001:db8::/32', '192.0.2.0/24', '198.51.100.7'] }] });
    const listener = policy.listener({ address: '::', port: 443 });
    const open = policy.listener({ address: '::', port: 80 });
    const accepted = ['2001:db8::5', '192.0.2.77', '::ffff:192.0.2.77', '198.51.100.7', '2001:db8::5%eth0'];
    const refused = ['2001:db9::5', '192.0.3.1', '198.51.100.8', '', 'nonsense'];
    expect(accepted.filter((ip) => !policy.acceptsFrom(listener, ip))).toEqual([]);
    expect(refused.filter((ip) => policy.acceptsFrom(listener, ip))).toEqual([]);
    expect(policy.acceptsFrom(open, '203.0.113.1')).toBe(true);
  });

  it('that are not mobile take no sessions at all', () => {
    const policy = policyOf({ mobility: 'off' });
    expect(policy.acceptsFrom(policy.listener({ address: '::', port: 1 }), '2001:db8::1')).toBe(false);
  });
});

describe('configured peers', () => {
  const policy = policyOf({
    peers: [
      { host: 'DB.example.org', port: 5432, sessionPort: 5433 },
      { host: '2001:DB8:0::1', port: 80, sessionPort: 81 },
    ],
  });
  it('are found by name and by address', () => {
    expect(policy.peer('db.Example.org.', 5432)?.sessionPort).toBe(5433);
    expect(policy.peer('2001:db8::1', 80)?.sessionPort).toBe(81);
  });
  it('are found by their own port only', () => {
    expect(policy.peer('db.example.org', 5431)).toBeUndefined();
    expect(policyOf({}).peer('db.example.org', 5432)).toBeUndefined();
  });
});

describe('datagrams', () => {
  const peer = { address: '192.0.2.1', port: 80 };
  const loopback = { address: '127.0.0.1', port: 80 };

  it('without a rule auto opens flows from unconnected sockets only where the exchange lasts', () => {
    const answers = (['off', 'auto', 'prefer', 'require'] as const).map((mobility) => {
      const policy = policyOf({ mobility });
      return [policy.datagrams(peer, true), policy.datagrams(peer, false), policy.datagrams(loopback, true)];
    });
    expect(answers).toEqual([
      ['never', 'never', 'never'],
      ['answered', 'lasting', 'never'],
      ['answered', 'answered', 'answered'],
      ['answered', 'answered', 'answered'],
    ]);
  });

  it('a rule holds for all sockets', () => {
    const policy = policyOf({ mobility: 'off', rules: [{ port: 80, mobility: 'auto' }] });
    expect([policy.datagrams(peer, true), policy.datagrams(peer, false)]).toEqual(['answered', 'answered']);
    expect(policy.datagrams(loopback, false)).toBe('never');
  });

  it('flows are required by the rule for the peer, else by the socket’s mode, else by the mode of all', () => {
    const policy = policyOf({
      mobility: 'auto',
      rules: [
        { to: '192.0.2.1', mobility: 'auto' },
        { to: '192.0.2.2', mobility: 'require' },
      ],
      listeners: [{ port: 443, mobility: 'require' }],
    });
    const [strict, lax] = [443, 80].map((port) => policy.listener({ address: '0.0.0.0', port }));
    const required = (ip: string, socket = lax): boolean =>
      policy.requiresFlows({ address: ip, port: 5 }, socket as ListenerPolicy);
    expect(['192.0.2.1', '192.0.2.2', '192.0.2.3'].map((ip) => required(ip, strict))).toEqual([false, true, true]);
    expect(['192.0.2.1', '192.0.2.2', '192.0.2.3'].map((ip) => required(ip))).toEqual([false, true, false]);
    const all = policyOf({ mobility: 'require' });
    expect(all.requiresFlows(peer, all.listener({ address: '0.0.0.0', port: 80 }))).toBe(true);
    expect([policy.mayRequireFlows, policyOf({}).mayRequireFlows]).toEqual([true, false]);
  });

  it('sockets are looked at only where a flow is possible', () => {
    const possible = (file: object): boolean[] =>
      ['192.0.2.1', '127.0.0.1', undefined].map((address) => policyOf(file).mayHaveFlows(address));
    expect(possible({})).toEqual([true, false, true]);
    expect(possible({ mobility: 'off' })).toEqual([false, false, false]);
    expect(possible({ mobility: 'prefer' })).toEqual([true, true, true]);
    expect(possible({ mobility: 'off', rules: [{ port: 1, mobility: 'auto' }] })).toEqual([true, false, true]);
    expect(possible({ mobility: 'off', listeners: [{ port: 1, mobility: 'require' }] })).toEqual([true, true, true]);
    const listening = policyOf({ mobility: 'off', listeners: [{ port: 1, mobility: 'prefer' }] });
    expect(listening.mayOpenFlows('192.0.2.1')).toBe(false);
  });
});

describe('anycast', () => {
  it('only what is named can be', () => {
    const policy = policyOf({ anycast: ['2001:db8:53::/48', '192.0.2.53'] });
    expect(policy.knowsAnycast).toBe(true);
    const named = ['2001:db8:53::1', '2001:DB8:53:0::2', '192.0.2.53', '::ffff:192.0.2.53'];
    const others = ['2001:db8:54::1', '192.0.2.54', 'x', '::1'];
    expect([...named, ...others].filter((address) => policy.mayBeAnycast(address))).toEqual(named);
    expect(policyOf({}).knowsAnycast).toBe(false);
  });

  it('by the environment too, which the kill switch makes nothing of', () => {
    const named = { MOBISOCK_ANYCAST: '2000::/3, 192.0.2.53' };
    expect(loadPolicy(named).mayBeAnycast('2001:db8::1')).toBe(true);
    expect(loadPolicy({ ...named, MOBISOCK: 'off' }).knowsAnycast).toBe(false);
  });
});
