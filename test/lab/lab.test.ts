/** The laboratory tried on itself: a test that relies on a move, a loss or a dead flow relies on these. */
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createLab, type Family, type Host, type Lab, labMissing, type Program } from './index.ts';
import { Program as LocalProgram } from './program.ts';

const PORT = 7000;
const fixture = (name: string): string => join(import.meta.dirname, 'fixtures', name);
const missing = await labMissing();

describe.skipIf(missing)('the laboratory', () => {
  let lab: Lab;
  beforeEach(async () => {
    lab = await createLab();
  });
  afterEach(async () => {
    await lab.close();
  });

  async function echoServer(port = PORT): Promise<Program> {
    const server = lab.server.run('node', [fixture('echo-server.mjs'), String(port)]);
    await server.line(/^ready$/);
    return server;
  }

  function echoClient(protocol: 'tcp' | 'udp', family: Family = 'ipv4', port = PORT, network = 'east'): Program {
    const address = lab.server.address(network, family);
    return lab.client.run('node', [fixture('echo-client.mjs'), protocol, address, String(port)]);
  }

  async function echoes(client: Program, text: string): Promise<void> {
    client.write(`${text}\n`);
    await client.line(new RegExp(`^echo ${text}$`));
  }

  describe('topology', () => {
    test.each(['ipv4', 'ipv6'] as const)(
      'carries TCP and UDP over %s, with the addresses of the plan',
      async (family) => {
        const server = await echoServer();
        const tcp = echoClient('tcp', family);
        await tcp.line(/^connected/);
        await echoes(tcp, 'stream');
        const udp = echoClient('udp', family);
        await echoes(udp, 'datagram');
        expect((await server.line(/^tcp (\S+)/))[1]).toBe(lab.client.address('wifi', family));
        expect((await server.line(/^udp (\S+)/))[1]).toBe(lab.client.address('wifi', family));
      },
    );

    test('has further hosts when asked for', async () => {
      const wide = await createLab({ hosts: { client: ['wifi'], server: ['east'], third: ['home', 'office'] } });
      try {
        const ping = wide.host('third').run('ping', ['-c', '1', wide.client.address('wifi', 'ipv6')]);
        expect(await ping.exit).toEqual({ code: 0, signal: null });
        expect(() => wide.host('fourth')).toThrow('no host "fourth", only client, server, third');
      } finally {
        await wide.close();
      }
    });

    test('refuses a plan that cannot be built and leaves nothing of it', async () => {
      await expect(createLab({ hosts: { client: ['a', 'b'], server: ['a'] } })).rejects.toThrow('"a" has two hosts');
      await expect(createLab({ attached: { client: ['nowhere'] } })).rejects.toThrow('has no network "nowhere"');
      expect(namespaces(`mbs-${process.pid}-`).filter((name) => !name.startsWith(`${lab.name}-`))).toEqual([]);
    });
  });

  describe('moves', () => {
    test('a move changes the path: new flows come from the new address and over the new link only', async () => {
      const server = await echoServer();
      await echoes(echoClient('tcp'), 'before');
      await lab.client.move('lte');
      const wifi = await lab.conditions.count({ from: 'wifi' });
      const lte = await lab.conditions.count({ from: 'lte' });
      await echoes(echoClient('tcp'), 'after');
      expect((await server.line(/^tcp (\S+)/))[1]).toBe(lab.client.address('wifi'));
      expect((await server.line(/^tcp (\S+)/))[1]).toBe(lab.client.address('lte'));
      expect((await wifi.traffic()).packets).toBe(0);
      expect((await lte.traffic()).packets).toBeGreaterThan(3);
    });

    test('a detached host has no address, no route and no link', async () => {
      await lab.client.detach();
      expect(lab.client.attached).toEqual([]);
      expect(await lab.client.namespace.command(['ip', '-o', 'address', 'show', 'scope', 'global'])).toBe('');
      expect(await lab.client.namespace.command(['ip', 'route'])).toBe('');
      expect(await lab.client.namespace.command(['ip', '-6', 'route', 'show', 'default'])).toBe('');
      expect(await lab.client.namespace.command(['ip', '-o', 'link', 'show', 'up'])).not.toContain('wifi');
      await echoClient('tcp').line(/^error ENETUNREACH$/);
    });

    test('an outage ends with the same network, and a plain TCP flow that kept its address goes on', async () => {
      await echoServer();
      const client = echoClient('tcp');
      await echoes(client, 'before');
      await lab.client.move('wifi', { outageMs: 50 });
      await echoes(client, 'after');
    });

    test('attaches with IPv4 only or IPv6 only', async () => {
      const reaches = async (family: Family): Promise<boolean> => {
        const ping = lab.client.run('ping', ['-c', '1', '-W', '2', lab.server.address('east', family)]);
        return (await ping.exit).code === 0;
      };
      await lab.client.move('lte', { families: 'ipv4' });
      expect([await reaches('ipv4'), await reaches('ipv6')]).toEqual([true, false]);
      await lab.client.move('lte', { families: 'ipv6' });
      expect([await reaches('ipv4'), await reaches('ipv6')]).toEqual([false, true]);
    });

    test('the server moves as well', async () => {
      await echoServer();
      await lab.server.move('west');
      const client = echoClient('tcp', 'ipv6', PORT, 'west');
      await client.line(/^connected/);
      await echoes(client, 'moved');
    });

    test('both networks at once: the earlier one is used, make before break is possible', async () => {
      const server = await echoServer();
      await lab.client.attach('lte');
      expect(lab.client.attached).toEqual(['wifi', 'lte']);
      await echoes(echoClient('udp'), 'two');
      expect((await server.line(/^udp (\S+)/))[1]).toBe(lab.client.address('wifi'));
      await lab.client.detach('wifi');
      await echoes(echoClient('udp'), 'one');
      expect((await server.line(/^udp (\S+)/))[1]).toBe(lab.client.address('lte'));
    });

    test('source routing sends each address over its own link', async () => {
      const routed = await createLab({ sourceRouting: true, attached: { client: ['wifi', 'lte'] } });
      try {
        const lte = await routed.conditions.count({ from: 'lte' });
        for (const family of ['ipv4', 'ipv6'] as const) {
          const argv = ['-c', '1', '-I', routed.client.address('lte', family), routed.server.address('east', family)];
          expect((await routed.client.run('ping', argv).exit).code).toBe(0);
        }
        expect((await lte.traffic()).packets).toBe(2);
        await routed.client.detach();
        await routed.client.attach('lte');
        expect((await routed.client.run('ping', ['-c', '1', routed.server.address('east')]).exit).code).toBe(0);
      } finally {
        await routed.close();
      }
    });

    test('an added address works at once and stops working when removed', async () => {
      await lab.client.addAddress('wifi', 'fd77:1::99');
      const ping = (): Promise<{ code: number | null }> =>
        lab.client.run('ping', ['-c', '1', '-I', 'fd77:1::99', lab.server.address('east', 'ipv6')]).exit;
      expect((await ping()).code).toBe(0);
      await lab.client.removeAddress('wifi', 'fd77:1::99');
      expect((await ping()).code).not.toBe(0);
    });
  });

  describe('link conditions', () => {
    test('loss loses: what was dropped and what arrived add up to what was sent', async () => {
      const sent = 200;
      const loss = await lab.conditions.lose(300, { from: 'wifi', to: lab.server.address('east'), protocol: 'icmp' });
      const ping = lab.client.run('ping', ['-c', String(sent), '-i', '0.002', '-W', '1', lab.server.address('east')]);
      await ping.exit;
      const received = Number(/(\d+) received/.exec(ping.stdout)?.[1]);
      const dropped = (await loss.traffic()).packets;
      expect(dropped).toBeGreaterThan(0);
      expect(received).toBeGreaterThan(0);
      expect(received + dropped).toBe(sent);
    });

    test('a black hole swallows one port in silence and ends when removed', async () => {
      await echoServer();
      await echoServer(PORT + 1);
      const hole = await lab.conditions.blackhole({ protocol: 'tcp', destinationPort: PORT });
      const swallowed = echoClient('tcp');
      await echoes(echoClient('tcp', 'ipv4', PORT + 1), 'beside');
      await until(async () => (await hole.traffic()).packets > 0);
      expect(swallowed.stdout).toBe('');
      await hole.remove();
      // The kernel sends the SYN again by itself.
      await swallowed.line(/^connected/);
    });

    test('refuses with ICMP or with a reset', async () => {
      await lab.conditions.refuse('host-unreachable', { to: 'east', destinationPort: PORT });
      await lab.conditions.refuse('tcp-reset', { to: 'east', destinationPort: PORT + 1 });
      await echoClient('tcp', 'ipv4', PORT).line(/^error EHOSTUNREACH$/);
      await echoClient('tcp', 'ipv6', PORT + 1).line(/^error ECONNREFUSED$/);
    });

    test('drops the flows there are, and lets new ones pass', async () => {
      await echoServer();
      const old = echoClient('tcp');
      await echoes(old, 'before');
      const dead = await lab.conditions.dropEstablished();
      old.write('into the void\n');
      await until(async () => (await dead.traffic()).packets >= 2);
      await echoes(echoClient('tcp'), 'new');
      expect(old.stdout).not.toMatch(/void|error|end/);
      await lab.conditions.clear();
      await old.line(/^echo into the void$/);
    });

    test('a firewall lets answers in and nothing else', async () => {
      const wall = await lab.conditions.blockInbound('wifi');
      expect((await lab.client.run('ping', ['-c', '1', lab.server.address('east')]).exit).code).toBe(0);
      expect((await wall.traffic()).packets).toBe(0);
      const inbound = lab.server.run('ping', ['-c', '1', '-W', '1', lab.client.address('wifi')]);
      expect((await inbound.exit).code).not.toBe(0);
      expect((await wall.traffic()).packets).toBe(1);
    });

    test('limits the rate of a network', async () => {
      await lab.conditions.limitRate('wifi', 10);
      expect(await lab.router.command(['tc', 'qdisc', 'show', 'dev', 'wifi'])).toContain('rate 10Mbit');
      await lab.client.move('wifi');
      expect((await lab.client.run('ping', ['-c', '1', lab.server.address('east')]).exit).code).toBe(0);
      await lab.conditions.limitRate('wifi', undefined);
      expect(await lab.router.command(['tc', 'qdisc', 'show', 'dev', 'wifi'])).not.toContain('tbf');
    });

    test('names a network or address that it does not know', async () => {
      await expect(lab.conditions.blackhole({ from: 'wlan' })).rejects.toThrow('"wlan" is neither a network');
      await expect(lab.conditions.lose(0)).rejects.toThrow('loss of 0 per mille');
    });
  });

  describe('address translation', () => {
    test.each(['ipv4', 'ipv6'] as const)(
      'shows the server a public address and another port over %s',
      async (family) => {
        await lab.nat.enable({ networks: ['wifi'], families: 'both' });
        const server = await echoServer();
        const client = echoClient('tcp', family);
        const local = await client.line(/^connected from (\S+) (\d+)/);
        const seen = await server.line(/^tcp (\S+) (\d+)/);
        expect(local[1]).toBe(lab.client.address('wifi', family));
        expect(seen[1]).toBe(lab.client.network('wifi').publicAddress[family]);
        expect(seen[2]).not.toBe(local[2]);
      },
    );

    test.each(['silent', 'reset'] as const)(
      'a rebinding (%s) gives a running UDP flow a new port',
      async (established) => {
        await lab.nat.enable({ networks: ['wifi'] });
        const server = await echoServer();
        const client = echoClient('udp');
        await echoes(client, 'first');
        const before = Number((await server.line(/^udp \S+ (\d+) first/))[1]);
        await lab.nat.rebind({ established });
        await echoes(client, 'second');
        const after = Number((await server.line(/^udp \S+ (\d+) second/))[1]);
        const [first, last] = lab.nat.portRange();
        expect(before).toBeLessThan(first);
        expect(after).toBeGreaterThanOrEqual(first);
        expect(after).toBeLessThanOrEqual(last);
      },
    );

    test('a silent rebinding leaves a running TCP flow hanging: nothing gets through, nothing comes back', async () => {
      await lab.nat.enable({ networks: ['wifi'] });
      await echoServer();
      const client = echoClient('tcp');
      await echoes(client, 'before');
      await lab.nat.rebind({ established: 'silent' });
      const sent = await lab.conditions.count({ from: 'wifi', protocol: 'tcp' });
      const answers = await lab.conditions.count({ from: 'east', protocol: 'tcp' });
      const server = lab.server.namespace;
      const heardBefore = await segmentsHeard(server);
      client.write('lost\n');
      await until(async () => (await sent.traffic()).packets >= 3);
      expect(await segmentsHeard(server)).toBe(heardBefore);
      expect((await answers.traffic()).packets).toBe(0);
      expect(client.stdout).not.toMatch(/lost|error|end/);
      const fresh = echoClient('tcp');
      await echoes(fresh, 'new flows pass');
    });

    test('a resetting rebinding ends a running TCP flow with ECONNRESET', async () => {
      await lab.nat.enable({ networks: ['wifi'] });
      await echoServer();
      const client = echoClient('tcp');
      await echoes(client, 'before');
      await lab.nat.rebind({ established: 'reset' });
      client.write('stray\n');
      await client.line(/^error ECONNRESET$/);
    });
  });

  describe('capture', () => {
    test('holds every packet that passed before it is asked', async ({ skip }) => {
      skip(!lab.canCapture, 'captures need root');
      const capture = await lab.capture('wifi');
      await lab.client.run('ping', ['-c', '5', '-i', '0.01', lab.server.address('east')]).exit;
      expect(await capture.count('icmp[icmptype] == icmp-echo')).toBe(5);
      expect(await capture.count('icmp[icmptype] == icmp-echoreply')).toBe(5);
      expect(await capture.count('udp or tcp')).toBe(0);
      await capture.stop();
      await lab.client.run('ping', ['-c', '1', lab.server.address('east')]).exit;
      expect(await capture.count('icmp')).toBe(10);
    });
  });

  describe('programs', () => {
    test('run with flags and environment, and their exit is told', async () => {
      const code = 'console.log(process.env.WORD, process.execArgv.length, process.argv[2]); process.exit(3)';
      const program = lab.client.run('node', ['-e', code, 'x', 'arg'], {
        env: { WORD: 'word' },
        nodeFlags: ['--no-warnings'],
      });
      await program.line(/^word 3 arg$/);
      expect(await program.exit).toEqual({ code: 3, signal: null });
    });

    test('a line that never comes is an error that shows what came instead', async () => {
      const program = lab.client.run('sh', ['-c', 'echo something; echo wrong >&2']);
      await expect(program.line(/else/)).rejects.toThrow(/ended before a line matched.*something.*wrong/s);
      const silent = lab.client.run('sleep', ['100']);
      await expect(silent.line(/x/, { timeoutMs: 10 })).rejects.toThrow('was silent for 10 ms');
      expect(await silent.stop('SIGKILL')).toEqual({ code: null, signal: 'SIGKILL' });
    });

    test('a program that does not exist ends at once and says so', async () => {
      const program = lab.client.run('no-such-program');
      expect((await program.exit).code).not.toBe(0);
      expect(program.stderr).toContain('no-such-program');
    });
  });
});

describe.skipIf(missing)('clean-up', () => {
  test('close() ends every program, even forked ones, and removes every namespace', async () => {
    const lab = await createLab();
    const family = lab.client.run('sh', ['-c', 'setsid sh -c "echo \\$\\$; exec sleep 1000" & exec sleep 1000']);
    const runaway = Number((await family.line(/^(\d+)$/))[1]);
    await lab.close();
    expect(await family.exit).toEqual({ code: null, signal: 'SIGKILL' });
    await until(async () => !alive(runaway));
    expect(namespaces(lab.name)).toEqual([]);
    expect(existsSync(lab.directory)).toBe(false);
  });

  test.each(['SIGINT', 'SIGTERM'] as const)('%s closes what is open and then ends the process', async (signal) => {
    const { owner, opened } = await openElsewhere();
    owner.kill(signal);
    expect((await owner.exit).signal).toBe(signal);
    await until(async () => !alive(opened.sleeper));
    expect(namespaces(opened.name)).toEqual([]);
  });

  test('the next laboratory sweeps what a killed process left', async () => {
    const { owner, opened } = await openElsewhere();
    owner.kill('SIGKILL');
    await owner.exit;
    await (await createLab()).close();
    await until(async () => !alive(opened.sleeper));
    expect(namespaces(opened.name)).toEqual([]);
    expect(readdirSync(tmpdir()).filter((name) => name.startsWith(opened.name))).toEqual([]);
  });

  test.skipIf(!unprivilegedPossible())('works without root in a user namespace', async () => {
    const { owner, opened } = await openElsewhere(NOBODY);
    expect(opened.reached).toBe(true);
    owner.kill('SIGKILL');
    await owner.exit;
    await until(async () => !alive(opened.sleeper));
  });
});

const NOBODY = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups'];

interface OpenedLab {
  readonly name: string;
  readonly sleeper: number;
  readonly reached: boolean;
}

async function openElsewhere(prefix: readonly string[] = []): Promise<{ owner: LocalProgram; opened: OpenedLab }> {
  const argv = [...prefix, process.execPath, '--import', 'tsx', fixture('open-lab.ts')];
  const owner = new LocalProgram(argv, {
    title: 'owner of a laboratory',
    env: { ...process.env, NODE_OPTIONS: undefined },
    directory: process.cwd(),
  });
  return { owner, opened: JSON.parse((await owner.line(/^\{.*\}$/))[0]) };
}

function unprivilegedPossible(): boolean {
  if (missing || process.getuid?.() !== 0) return false;
  const [program = '', ...args] = NOBODY;
  const probe = 'test -r "$0" && unshare -Urnm true';
  return spawnSync(program, [...args, 'sh', '-c', probe, fixture('open-lab.ts')]).status === 0;
}

/** TCP segments that the host has received so far. */
async function segmentsHeard(host: Host['namespace']): Promise<number> {
  const [names = '', values = ''] = (await host.command(['grep', '^Tcp:', '/proc/net/snmp'])).split('\n');
  return Number(values.split(' ')[names.split(' ').indexOf('InSegs')]);
}

function namespaces(prefix: string): string[] {
  const listing = execFileSync('ip', ['netns', 'list'], { encoding: 'utf8' });
  return listing.split('\n').filter((name) => name.startsWith(prefix));
}

/** A process that has ended but that nobody has asked about yet (a zombie) is not alive. */
function alive(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}

/** Polls a fact that the kernel does not announce. Ends with the test's own time limit. */
async function until(holds: () => Promise<boolean>): Promise<void> {
  while (!(await holds())) await new Promise((resolve) => setTimeout(resolve, 10));
}
