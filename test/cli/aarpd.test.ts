/** The command `aarpd`, as users get it: real processes on real sockets, asked about ::1, which answers for itself. */
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { DaemonConnection } from '../../src/aarp/io/daemon/daemon-connection.ts';
import { DaemonResolver } from '../../src/aarp/io/daemon/daemon-resolver.ts';
import { LineClient } from '../aarp/daemon/line-client.ts';
import { TableResolver } from '../aarp/daemon/table-resolver.ts';
import { BUILT_FILE } from '../built-package.ts';
import { Program } from '../lab/program.ts';
import { SeededRandom } from '../sim/seeded-random.ts';

const COMMAND = join(BUILT_FILE, '..', 'cli', 'aarpd.js');

let directory: string;
let socket: string;
let cache: string;
const programs = new Set<Program>();
const open = new Set<{ close(): void }>();

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'aarpd-'));
  socket = join(directory, 'aarpd.sock');
  cache = join(directory, 'verdicts');
});
afterEach(async () => {
  for (const thing of open) thing.close();
  open.clear();
  await Promise.all([...programs].map((program) => program.stop('SIGKILL')));
  programs.clear();
  rmSync(directory, { recursive: true });
});

function start(args: readonly string[], before: readonly string[] = []): Program {
  const program = new Program([...before, process.execPath, COMMAND, ...args], {
    title: 'aarpd',
    env: { PATH: process.env.PATH },
    directory,
  });
  programs.add(program);
  return program;
}

/** Started and ready. */
async function aarpd(...args: string[]): Promise<Program> {
  const program = start(['--socket', socket, '--cache', cache, ...args]);
  await program.line(/^aarpd: ready on /);
  return program;
}

async function ended(program: Program): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const { code } = await program.exit;
  return { code, stdout: program.stdout, stderr: program.stderr };
}

async function client(): Promise<LineClient> {
  const connected = await LineClient.connect(socket);
  open.add(connected);
  return connected;
}

async function listed(): Promise<string[]> {
  const asking = await client();
  asking.send('x list');
  const lines: string[] = [];
  do lines.push(...(await asking.take(1)));
  while (!lines.at(-1)?.startsWith('x ok'));
  asking.close();
  return lines;
}

async function sample(name: string): Promise<number> {
  const asking = await client();
  asking.send('x stats');
  for (;;) {
    const [line = ''] = await asking.take(1);
    if (line.startsWith(`x item ${name} `)) {
      asking.close();
      return Number(line.split(' ').at(-1));
    }
    if (line.startsWith('x ok')) throw new Error(`no ${name}`);
  }
}

describe('its command line', () => {
  it('is told by --help', async () => {
    const { code, stdout, stderr } = await ended(start(['--help']));
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    for (const option of ['config', 'socket', 'socket-mode', 'cache', 'clients', 'key-file', 'serve', 'rendezvous']) {
      expect(stdout).toContain(`--${option} `);
    }
  });

  it.each([
    [['--prot', '1'], "'--prot'"],
    [['now'], "'now'"],
    [['--socket', 'here'], '--socket: found "here", expected a path with a slash in it'],
    [['--socket-mode', '7777'], '--socket-mode: found "7777", expected permission bits such as "0660"'],
    [['--clients', 'many'], '--clients: found NaN, expected a whole number from 1 to 100000'],
    [['--cache', 'on'], '--cache: found "on", expected a path with a slash in it, or off'],
    [['--serve', 'fd00::53,192.0.2.1'], '--serve[1]: found "192.0.2.1", expected an IPv6 address'],
    [['--serve', 'ff02::1'], '--serve[0]: found "ff02::1", expected an IPv6 address'],
    [['--rendezvous', '::1'], '--rendezvous.listen: found "::1", expected a port, or an address and a port'],
    [['--metrics', 'x'], '--metrics: found "x", expected a port, or an address and a port'],
    [['--metrics', 'x', '--clients', '0'], '2 problems:'],
    [['--key-file', '/dev/null'], '/dev/null: expected a key in hexadecimal digits'],
  ])('%j is told, with status 2', async (args, message) => {
    const { code, stderr, stdout } = await ended(start(['--cache', 'off', ...args]));
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toContain(message);
  });

  it('may be a file, whose faults are all told, with file and key', async () => {
    const config = join(directory, 'aarpd.json');
    writeFileSync(config, '{ "clients": 0, "metrics": "x", "sokcet": "/a", "rendezvous": { "entries": 1 } }');
    const { code, stderr } = await ended(start(['--config', config]));
    expect(code).toBe(2);
    expect(stderr.split('\n').slice(0, 6)).toEqual([
      'aarpd: 5 problems:',
      `  ${config}: clients: found 0, expected a whole number from 1 to 100000`,
      expect.stringContaining(`  ${config}: metrics: found "x", expected a port`),
      expect.stringContaining(`  ${config}: sokcet: unknown key, expected one of socket, `),
      `  ${config}: rendezvous.entries: found 1, expected a whole number from 2 to 10000000`,
      `  ${config}: rendezvous.listen: missing`,
    ]);
  });

  it('wins over the file, key by key', async () => {
    const config = join(directory, 'aarpd.json');
    writeFileSync(config, JSON.stringify({ socket: join(directory, 'other'), socketMode: '0600', cache: 'off' }));
    const program = start(['--config', config, '--socket', socket]);
    await program.line(/^aarpd: ready on /);
    expect(statSync(socket).mode & 0o777).toBe(0o600);
  });

  it('a file that is not there is told, with status 1', async () => {
    const { code, stderr } = await ended(start(['--config', '/nowhere']));
    expect({ code, stderr }).toEqual({ code: 1, stderr: expect.stringContaining('/nowhere') });
  });
});

describe('its life', () => {
  it('resolves, and remembers over a restart', async () => {
    const first = await aarpd();
    const asking = await client();
    expect(await asking.ask('1 resolve ::1')).toMatch(/^1 ok unicast ::1 confirmed \d+$/);
    expect(await asking.ask('2 verdict put mobility [2001:db8::1]:443 mobile 600000')).toBe('2 ok');
    expect(await first.stop('SIGTERM')).toEqual({ code: 0, signal: null });
    expect(first.stdout).toContain('aarpd: SIGTERM, ended');
    expect(existsSync(socket)).toBe(false);
    await aarpd();
    expect(await listed()).toEqual([
      expect.stringMatching(/^x item cast ::1 unicast ::1 confirmed \d+$/),
      expect.stringMatching(/^x item mobility \[2001:db8::1\]:443 mobile \d+$/),
      'x ok 2',
    ]);
    expect(await (await client()).ask('1 resolve ::1')).toMatch(/^1 ok unicast ::1 confirmed \d+$/);
    expect(await sample('aarpd_resolver_events_total{event="probes"}')).toBe(0);
  });

  it('killed, it leaves a socket that the next one takes over, and a cache that is whole', async () => {
    const first = await aarpd();
    await (await client()).ask('1 verdict put mobility 192.0.2.1:80 plain 600000');
    await expect.poll(() => existsSync(cache), { timeout: 10_000 }).toBe(true);
    await first.stop('SIGKILL');
    expect(existsSync(socket)).toBe(true);
    await aarpd();
    expect(await listed()).toContainEqual(expect.stringMatching(/^x item mobility 192\.0\.2\.1:80 plain \d+$/));
  });

  it('a second one says that there is one', async () => {
    await aarpd();
    const { code, stderr } = await ended(start(['--socket', socket, '--cache', 'off']));
    expect(code).toBe(2);
    expect(stderr).toContain(`aarpd: ${socket}: another aarpd answers there\n`);
    expect(await (await client()).ask('1 hello 1')).toMatch(/^1 ok 1 mobisock\/\d/);
  });

  it('of several that start at once beside a stale socket, one runs', async () => {
    await (await aarpd()).stop('SIGKILL');
    const started = Array.from({ length: 5 }, () => start(['--socket', socket, '--cache', 'off']));
    const outcomes = await Promise.all(
      started.map((program) =>
        Promise.race([program.exit.then(({ code }) => code), program.line(/^aarpd: ready/).then(() => 'ready')]),
      ),
    );
    expect([...outcomes].sort()).toEqual([2, 2, 2, 2, 'ready']);
    expect(await (await client()).ask('1 hello 1')).toMatch(/^1 ok /);
  });

  it('a bad cache is kept aside', async () => {
    writeFileSync(cache, 'aarpd-verdicts 1\ncast nonsense\n');
    const program = await aarpd();
    expect(program.stderr).toContain(`${cache}: line 2: expected the end`);
    expect(readFileSync(`${cache}.bad`, 'latin1')).toContain('nonsense');
    expect(await listed()).toEqual(['x ok 0']);
  });

  it('a full disk costs the cache alone', async (context) => {
    if (process.getuid?.() !== 0) return context.skip('mounting takes root');
    const mount = `mount -t tmpfs -o size=16k tmpfs "$0" && { dd if=/dev/zero of="$0/full" bs=1k 2>/dev/null; exec "$@"; }`;
    const disk = join(directory, 'disk');
    execFileSync('mkdir', [disk]);
    const program = start(
      ['--socket', socket, '--cache', join(disk, 'verdicts')],
      ['unshare', '-m', 'sh', '-c', mount, disk],
    );
    await program.line(/^aarpd: ready/);
    const asking = await client();
    await asking.ask('1 verdict put mobility 192.0.2.1:80 plain 600000');
    await program.line(/verdicts: cannot be written \(ENOSPC.*\); the cache is in memory only/, { stream: 'stderr' });
    expect(await asking.ask('2 verdict get mobility 192.0.2.1:80')).toMatch(/^2 ok plain \d+$/);
    expect(await sample('aarpd_cache_write_failures_total')).toBe(1);
    expect(await program.stop('SIGTERM')).toEqual({ code: 0, signal: null });
    expect(program.stderr.match(/cannot be written/g)).toHaveLength(1);
  });

  it('takes a socket that systemd hands over, and leaves it', async (context) => {
    const activate = 'systemd-socket-activate';
    if (spawnSync(activate, ['--version']).status !== 0) return context.skip(`${activate} is not installed`);
    const program = start(['--cache', 'off'], [activate, '-l', socket]);
    await program.line(/Listening on/, { stream: 'stderr' });
    expect(await (await client()).ask('1 hello 1')).toMatch(/^1 ok /);
    expect(program.stdout).toContain('aarpd: ready on the socket handed over');
    await program.stop('SIGTERM');
    expect(existsSync(socket)).toBe(true);
  });
});

describe('its configuration', () => {
  it('is read again by SIGHUP; what is wrong changes nothing, and is told', async () => {
    const config = join(directory, 'aarpd.json');
    const write = (text: string): void => writeFileSync(config, text);
    write('{}');
    const program = await aarpd('--config', config);
    write('{ "rendezvous": { "listen": "127.0.0.1:0" }, "metrics": "127.0.0.1:0" }');
    program.kill('SIGHUP');
    await program.line(/^aarpd: rendezvous on udp 127\.0\.0\.1:\d+$/);
    const [, url = ''] = await program.line(/^aarpd: metrics at (http:\S+)$/);
    await program.line(/^aarpd: configuration read again$/);
    write('{ "rendezvous": { "listen": "127.0.0.1:0" ');
    program.kill('SIGHUP');
    await program.line(/aarpd\.json: line 1, column 43: found the end, expected "," or "}"$/, { stream: 'stderr' });
    await program.line(/^The configuration stays as it was\.$/, { stream: 'stderr' });
    expect((await fetch(url)).status).toBe(200);
    write('{ "rendezvous": { "listen": "127.0.0.1:0" }, "metrics": "192.0.2.1:1", "clients": 5 }');
    program.kill('SIGHUP');
    await program.line(/^aarpd: clients: changed in the configuration, which takes a restart$/, { stream: 'stderr' });
    await program.line(/^aarpd: listen EADDRNOTAVAIL/, { stream: 'stderr' });
    const [, again = ''] = await program.line(/^aarpd: metrics at (http:\S+)$/);
    expect(await (await fetch(again)).text()).toContain('aarpd_rendezvous_events_total{event="asks"} 0\n');
    write('{}');
    program.kill('SIGHUP');
    const metrics = (): Promise<string> =>
      fetch(again).then(
        () => 'there',
        () => 'gone',
      );
    await expect.poll(metrics).toBe('gone');
    expect(program.stdout.match(/rendezvous on/g)).toHaveLength(1);
  });
});

describe('its metrics', () => {
  it('are what Prometheus reads, and all in docs/aarpd.md', async () => {
    const roles = ['--metrics', '127.0.0.1:0', '--rendezvous', '127.0.0.1:0'];
    const program = start(['--socket', socket, '--cache', 'off', ...roles]);
    const [, url = ''] = await program.line(/^aarpd: metrics at (http:\S+)$/);
    const response = await fetch(url);
    expect(response.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8');
    const text = await response.text();
    const form =
      /^(?:# HELP [a-z_]+ [^\n]+\n# TYPE ([a-z_]+) (?:counter|gauge)\n(?:\1(?:\{[a-z]+="[A-Za-z-]+"\})? \d+\n)+)+$/;
    expect(text).toMatch(form);
    const names = [...text.matchAll(/^# TYPE (\S+)/gm)].map(([, name]) => name);
    const page = readFileSync(join(import.meta.dirname, '../../docs/aarpd.md'), 'utf8');
    expect(names.filter((name) => !page.includes(`\`${name}\``))).toEqual([]);
    expect((await fetch(url.replace('metrics', ''))).status).toBe(404);
    expect((await fetch(url, { method: 'POST' })).status).toBe(405);
  });
});

describe('its clients', () => {
  it('get their answer when it is killed while they wait', async () => {
    const program = await aarpd();
    const fallback = new TableResolver({ '::1': '::1', '2001:db8::53': '2001:db8::e' });
    const resolver = new DaemonResolver({ connection: new DaemonConnection(socket), fallback: () => fallback });
    open.add(resolver);
    await resolver.resolve('::1');
    expect(fallback.asked).toEqual([]);
    program.kill('SIGSTOP');
    const answer = resolver.resolve('2001:db8::53');
    await program.stop('SIGKILL');
    expect(await answer).toMatchObject({ unicast: '2001:db8::e' });
  });

  it('may send anything', async () => {
    const program = await aarpd();
    const random = new SeededRandom(20);
    const words = ['1', 'resolve', 'failed', 'flush', 'verdict', 'put', 'get', 'cast', 'mobility', '::1', 'ff02::1'];
    const more = [
      '::',
      '127.0.0.1',
      'fe80::1%nowhere',
      'anycast',
      'unicast',
      'plain',
      '[ff02::1]:1',
      '9',
      ' ',
      'watch',
    ];
    const clients = await Promise.all(Array.from({ length: 20 }, client));
    for (const asking of clients) {
      for (let i = 0; i < 200; i++) {
        const line = Array.from({ length: random.between(1, 6) }, () => random.pick([...words, ...more])).join(' ');
        asking.socket.write(random.chance(0.1) ? random.bytes(random.between(1, 2_000)) : `1 ${line}\n`);
      }
      asking.socket.end('\nx hello 1\n');
    }
    await Promise.all(clients.map(({ closed }) => closed));
    for (const { lines } of clients) {
      expect(lines).toContainEqual(expect.stringMatching(/^x ok 1 mobisock/));
      expect(lines.filter((line) => !/^(?:-|[A-Za-z0-9]{1,16}) (?:ok|item|event|error)\b/.test(line))).toEqual([]);
    }
    expect(program.stderr).toBe('');
    expect(await program.stop('SIGTERM')).toEqual({ code: 0, signal: null });
  });

  it('end when they are done: the connection keeps nobody alive', async () => {
    const program = await aarpd();
    const library = join(BUILT_FILE, '..', 'aarp.js');
    const script = `
      import { openResolver } from ${JSON.stringify(library)};
      const { unicast } = await openResolver({ aarpd: ${JSON.stringify(socket)} }).resolve('::1');
      console.log(unicast);`;
    const asking = new Program([process.execPath, '--input-type=module', '-e', script], {
      title: 'client',
      env: { PATH: process.env.PATH },
      directory,
    });
    programs.add(asking);
    expect(await ended(asking)).toEqual({ code: 0, stdout: '::1\n', stderr: '' });
    expect(await sample('aarpd_requests_total{verb="resolve"}')).toBe(1);
    expect(program.stderr).toBe('');
  });

  it('cost it no memory that stays, however many ask and do not listen', async () => {
    const program = await aarpd();
    const residentMb = (): number =>
      Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${program.pid}/status`, 'utf8'))?.[1]) / 1024;
    const deaf = await Promise.all(Array.from({ length: 50 }, client));
    for (const asking of deaf) asking.socket.pause();
    const burst = async (round: number): Promise<void> => {
      const clients = await Promise.all(Array.from({ length: 100 }, client));
      for (const asking of deaf) asking.send(...Array.from({ length: 500 }, (_, i) => `${i} stats`));
      for (const [c, asking] of clients.entries()) {
        asking.send(
          ...Array.from({ length: 100 }, (_, i) => `${i} verdict put mobility 10.${round}.${c}.${i}:80 plain 600000`),
        );
      }
      for (const asking of clients) expect(await asking.take(100)).toHaveLength(100);
      for (const asking of clients) asking.close();
    };
    await burst(0);
    await burst(1);
    const before = residentMb();
    for (let round = 2; round < 8; round++) await burst(round);
    expect(await sample('aarpd_verdicts')).toBe(16_384);
    expect(residentMb() - before).toBeLessThan(30);
  });
});
