import { execFileSync, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { AddressWatchOptions } from '../../src/host/address-watch.ts';
import type { LocalAddress } from '../../src/host/local-addresses.ts';
import { Namespace, namespacesAvailable } from './namespace.ts';
import { WatchProcess } from './watch-process.ts';

const ips = (addresses: readonly { ip: string }[]): string[] => addresses.map(({ ip }) => ip);

/** Thousands of events, ten times what the receive buffer holds, that end where they began. */
function flood(): string {
  const lines: string[] = [];
  for (let i = 0; i < 2000; i++) {
    const address = `10.${i >> 8}.${i & 255}.1/32 dev v0`;
    lines.push(`addr add ${address}`, `addr del ${address}`);
  }
  return lines.join('\n');
}

describe.skipIf(!namespacesAvailable)('address watch (needs network namespaces)', () => {
  let namespace: Namespace;
  const running: WatchProcess[] = [];
  const open = async (options: AddressWatchOptions): Promise<WatchProcess> => {
    const watch = new WatchProcess(namespace, options);
    running.push(watch);
    await watch.started();
    return watch;
  };

  beforeEach(async () => {
    namespace = await Namespace.create();
    namespace.ip('link set lo up');
    namespace.ip('link add v0 type veth peer name v1');
    for (const name of ['v0', 'v1']) {
      // No address but those that a test adds.
      namespace.ip(`link set ${name} addrgenmode none`);
      namespace.ip(`link set ${name} up`);
    }
  });

  afterEach(async () => {
    for (const watch of running.splice(0)) await watch.kill();
    await namespace.close();
  });

  const kinds: readonly (readonly [string, AddressWatchOptions, object])[] = [
    ['netlink by events', {}, { backend: 'netlink', wakeup: 'event' }],
    ['netlink by timer', { wakeup: 'timer' }, { backend: 'netlink', wakeup: 'timer' }],
    ['polling', { backend: 'polling' }, { backend: 'polling', wakeup: 'timer' }],
  ];

  describe.each(kinds)('%s', (_name, options, expected) => {
    it('says which backend it is and knows the addresses from the start', async () => {
      namespace.ip('addr add 192.0.2.1/24 dev v0');
      const watch = await open(options);
      const state = await watch.started();
      expect(state).toMatchObject(expected);
      expect(state.addresses).toContainEqual(
        expect.objectContaining({ ip: '192.0.2.1', prefixLength: 24, interfaceName: 'v0', scope: 'global' }),
      );
      expect(state.addresses).toContainEqual(expect.objectContaining({ ip: '127.0.0.1', scope: 'host' }));
    });

    it('tells addresses of both families as they come and go', async () => {
      const watch = await open(options);
      namespace.ip('addr add 192.0.2.1/24 dev v0');
      await watch.added('192.0.2.1');
      namespace.ip('addr add 2001:db8::1/64 dev v0 nodad');
      await watch.added('2001:db8::1');
      expect(ips((await watch.ask()).state.addresses)).toEqual(expect.arrayContaining(['192.0.2.1', '2001:db8::1']));
      namespace.ip('addr del 192.0.2.1/24 dev v0');
      await watch.removed('192.0.2.1');
      namespace.ip('addr del 2001:db8::1/64 dev v0');
      await watch.removed('2001:db8::1');
      expect(ips((await watch.ask()).state.addresses)).not.toContain('192.0.2.1');
    });

    it('holds an IPv6 address back until duplicate address detection is done', async () => {
      const watch = await open(options);
      namespace.ip('addr add 2001:db8::5/64 dev v0');
      expect(ips((await watch.ask()).state.addresses)).not.toContain('2001:db8::5');
      await watch.added('2001:db8::5');
    });

    it('never tells of an address that turns out to be a duplicate', async () => {
      const watch = await open(options);
      namespace.ip('addr add 2001:db8::7/64 dev v1 nodad');
      namespace.ip('addr add 2001:db8::7/64 dev v0');
      // Both start detection at about the same time, and the second is long done when the later third one is.
      namespace.ip('addr add 2001:db8::8/64 dev v0');
      await watch.added('2001:db8::8');
      namespace.ip('addr add 2001:db8::9/64 dev v0');
      await watch.added('2001:db8::9');
      const told = watch.changes.flatMap(({ added }) => added).filter(({ ip }) => ip === '2001:db8::7');
      expect(told.map(({ interfaceName }) => interfaceName)).toEqual(['v1']);
    });

    it('tells addresses as gone while their interface is down, and as back afterwards', async () => {
      namespace.ip('addr add 192.0.2.1/24 dev v0');
      const watch = await open(options);
      namespace.ip('link set v0 down');
      await watch.removed('192.0.2.1');
      namespace.ip('link set v0 up');
      await watch.added('192.0.2.1');
    });

    it('tells addresses as gone when the carrier is lost', async () => {
      namespace.ip('addr add 192.0.2.1/24 dev v0');
      const watch = await open(options);
      namespace.ip('link set v1 down');
      await watch.removed('192.0.2.1');
    });

    it('gives link-local addresses their zone', async () => {
      const watch = await open(options);
      namespace.ip('addr add fe80::77/64 dev v0 nodad');
      const { change } = await watch.change(({ added }) => added.some(({ ip }) => ip === 'fe80::77%v0'));
      expect(change.added.find(({ ip }) => ip === 'fe80::77%v0')?.scope).toBe('link');
    });

    it('does not keep the process alive', async () => {
      const watch = new WatchProcess(namespace, options, { idle: true });
      running.push(watch);
      const exit = once(watch.child, 'exit');
      await watch.started();
      // Its input stays open: only the watch could hold it.
      expect(await exit).toEqual([0, null]);
    });

    it('lets the process end after close', async () => {
      const watch = await open(options);
      expect(await watch.end()).toBe(0);
    });
  });

  describe.each(kinds.slice(0, 2))('%s', (_name, options) => {
    it('tells of routes, of links, and of a removed interface', async () => {
      namespace.ip('addr add 192.0.2.1/24 dev v0');
      const watch = await open(options);
      const before = watch.changes.length;
      namespace.ip('route add default via 192.0.2.254');
      await watch.change(({ routesChanged, linksChanged }) => routesChanged && !linksChanged);
      expect(watch.changes.slice(before).flatMap(({ added, removed }) => [...added, ...removed])).toEqual([]);
      namespace.ip('link add v2 type veth peer name v3');
      await watch.change(({ linksChanged }) => linksChanged);
      namespace.ip('link del v0');
      await watch.removed('192.0.2.1');
    });

    it('does not tell of a refreshed lifetime', async () => {
      namespace.ip('addr add 2001:db8::1/64 dev v0 nodad');
      const watch = await open(options);
      namespace.ip('addr change 2001:db8::1/64 dev v0 valid_lft 500 preferred_lft 400');
      namespace.ip('addr change 2001:db8::1/64 dev v0 valid_lft 500 preferred_lft 0');
      namespace.ip('addr add 192.0.2.1/24 dev v0');
      await watch.added('192.0.2.1');
      expect(ips(watch.changes.flatMap(({ added, removed }) => [...added, ...removed]))).not.toContain('2001:db8::1');
      expect((await watch.ask()).state.addresses).toContainEqual(
        expect.objectContaining({ ip: '2001:db8::1', deprecated: true }),
      );
    });

    it('finds its way back after events were lost', async () => {
      namespace.ip('addr add 192.0.2.1/24 dev v0');
      const watch = await open(options);
      watch.child.kill('SIGSTOP');
      namespace.ip('-batch -', `${flood()}\naddr del 192.0.2.1/24 dev v0\naddr add 198.51.100.1/24 dev v0`);
      watch.child.kill('SIGCONT');
      await watch.removed('192.0.2.1');
      await watch.added('198.51.100.1');
      const { state } = await watch.ask();
      expect(state.backend).toBe('netlink');
      expect(ips(state.addresses).filter((ip) => ip.startsWith('10.'))).toEqual([]);
      // Fewer told than happened: so some were lost indeed.
      expect(watch.changes.length).toBeLessThan(2000);
      namespace.ip('addr add 203.0.113.1/24 dev v0');
      await watch.added('203.0.113.1');
    });
  });

  it('polls while no descriptor can be had for a lost one, and goes back to netlink', async () => {
    namespace.ip('addr add 192.0.2.1/24 dev v0');
    const watch = await open({});
    const limitDescriptors = (soft: string): void => {
      execFileSync('prlimit', ['--pid', String(watch.child.pid), `--nofile=${soft}:`]);
    };
    const backendIs = async (backend: string): Promise<readonly LocalAddress[]> => {
      for (;;) {
        const { state } = await watch.ask();
        if (state.backend === backend) return state.addresses;
      }
    };
    watch.child.kill('SIGSTOP');
    namespace.ip('-batch -', flood());
    limitDescriptors('1');
    watch.child.kill('SIGCONT');
    expect(ips(await backendIs('polling'))).toContain('192.0.2.1');
    limitDescriptors('1000');
    namespace.ip('addr add 203.0.113.1/24 dev v0');
    await watch.added('203.0.113.1');
    expect(ips(await backendIs('netlink'))).toEqual(expect.arrayContaining(['192.0.2.1', '203.0.113.1']));
  });

  it('polls where koffi is not installed', async () => {
    const withoutKoffi = `
      import Module from 'node:module';
      const load = Module._load;
      Module._load = (request, ...rest) => {
        if (request === 'koffi') throw new Error('not installed');
        return load(request, ...rest);
      };`;
    const watch = new WatchProcess(namespace, {}, { preload: withoutKoffi });
    running.push(watch);
    expect((await watch.started()).backend).toBe('polling');
    namespace.ip('addr add 192.0.2.1/24 dev v0');
    await watch.added('192.0.2.1');
    expect((await watch.ask('192.0.2.7')).route).toBeNull();
  });

  it.each([
    ['the pipe handle is another class', 'class Other { open() { return 0; } }'],
    ['the pipe handle cannot be opened', 'class Pipe { open() { return -22; } close() {} }'],
    ['the pipe handle throws', 'class Pipe { open() { throw new Error("changed"); } }'],
  ])('reads by timer where %s', async (_name, handleClass) => {
    const preload = `
      import net from 'node:net';
      import { syncBuiltinESMExports } from 'node:module';
      const { Socket } = net;
      ${handleClass}
      net.Socket = function (options) {
        const socket = new Socket(options);
        if (options?.readable !== false || options?.writable !== false) return socket;
        return { _handle: Object.create(${handleClass.split(' ')[1]}.prototype), destroy: () => socket.destroy() };
      };
      net.Socket.prototype = Socket.prototype;
      syncBuiltinESMExports();`;
    const watch = new WatchProcess(namespace, {}, { preload });
    running.push(watch);
    expect(await watch.started()).toMatchObject({ backend: 'netlink', wakeup: 'timer' });
    namespace.ip('addr add 192.0.2.1/24 dev v0');
    await watch.added('192.0.2.1');
  });

  describe('route lookup', () => {
    it('answers with source address and interface, and with nothing where there is no route', async () => {
      namespace.ip('addr add 192.0.2.1/24 dev v0');
      namespace.ip('addr add 2001:db8::1/64 dev v0 nodad');
      const watch = await open({});
      expect((await watch.ask('198.51.100.1')).route).toBeNull();
      expect((await watch.ask('192.0.2.77')).route).toEqual({ sourceIp: '192.0.2.1', interfaceName: 'v0' });
      expect((await watch.ask('2001:db8:0:0::77')).route).toEqual({ sourceIp: '2001:db8::1', interfaceName: 'v0' });
      namespace.ip('addr add 192.0.2.2/24 dev v0');
      namespace.ip('route add default via 192.0.2.254 src 192.0.2.2');
      expect((await watch.ask('198.51.100.1')).route).toEqual({
        sourceIp: '192.0.2.2',
        interfaceName: 'v0',
        nextHopIp: '192.0.2.254',
      });
    });

    it('looks for a link-local address on the interface of its zone', async () => {
      namespace.ip('addr add fe80::a/64 dev v0 nodad');
      namespace.ip('addr add fe80::b/64 dev v1 nodad');
      const watch = await open({});
      expect((await watch.ask('fe80::99%v1')).route?.interfaceName).toBe('v1');
      expect((await watch.ask('fe80::99%v0')).route?.interfaceName).toBe('v0');
      expect((await watch.ask('fe80::99%v9')).route).toBeNull();
      expect((await watch.ask('fe80::99%v0')).route?.sourceIp).toMatch(/^fe80::.*%v0$/);
    });
  });
});

describe.skipIf(process.platform !== 'linux')('loading the address watch', () => {
  it('leaves koffi alone until a watch is opened', () => {
    const module = new URL('../../src/host/address-watch.ts', import.meta.url).href;
    const code = `
      import { readFileSync } from 'node:fs';
      import { openAddressWatch } from ${JSON.stringify(module)};
      const loaded = () => readFileSync('/proc/self/maps', 'utf8').includes('koffi');
      console.log(loaded());
      const { backend } = openAddressWatch();
      console.log(backend, loaded());`;
    const cwd = fileURLToPath(new URL('../..', import.meta.url));
    const args = ['--import', 'tsx', '--input-type=module', '--eval', code];
    const { stdout } = spawnSync(process.execPath, args, { cwd, encoding: 'utf8' });
    expect(stdout).toBe('false\nnetlink true\n');
  });
});
