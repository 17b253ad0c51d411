#!/usr/bin/env node
/**
 * The command `aarpd`: the service that all processes of a host ask which unicast address is behind an anycast one, and
 * the roles around it. docs/aarpd.md. Ends with status 2 where it was told something that cannot be, with 1 where
 * something failed.
 *
 * Life-cycle: settings -> the socket -> the roles -> ready, until SIGTERM or SIGINT. SIGHUP reads the configuration again.
 */
import { createRequire } from 'node:module';
import { counter, type Metric } from '../aarp/daemon/metrics.ts';
import { type Daemon, openDaemon } from '../aarp/io/daemon/daemon.ts';
import { EmbeddedResolver } from '../aarp/io/embedded-resolver.ts';
import { UsageError } from '../core/errors.ts';
import { readFileStart } from '../host/file-start.ts';
import { AarpdRoles } from './aarpd-roles.ts';
import { type AarpdSettings, FIXED_KEYS, OPTION_NAMES, readAarpdSettings } from './aarpd-settings.ts';
import { readOptions } from './command.ts';
import { STOP_SIGNALS } from './rendezvous-command.ts';

const HELP = `Usage: aarpd [OPTION]...

Resolves anycast addresses for all processes of this host, which ask it over a unix socket, and remembers what it found
out. Programs run with mobisock find it by themselves.

  --config FILE            JSON with the settings below; options win over it, key by key
  --socket PATH            where it listens (default: /run/aarpd/aarpd.sock); not used with systemd's socket activation
  --socket-mode MODE       who may ask (default: 0660). Who may ask can also say that a member has failed.
  --cache FILE|off         where it keeps what it knows (default: /var/lib/aarpd/verdicts)
  --clients N              connections at a time (default: 1000)
  --key-file FILE          secret of AARP datagrams, 16 to 64 bytes in hexadecimal digits, the same for all members
  --serve ADDRESS[,...]    make this host a member of anycast addresses, as in fd00::53%eth0; takes CAP_NET_ADMIN
  --rendezvous ADDRESS:PORT  be a rendezvous too, as mobisock rendezvous is
  --metrics ADDRESS:PORT   show counters to Prometheus at http://ADDRESS:PORT/metrics
  -h, --help               this text

SIGHUP reads the configuration again; what is wrong in it is told, and nothing changes. SIGTERM and SIGINT end it, once
what it was asked is answered.
`;
/** Where systemd puts the first of the sockets that it hands over: sd_listen_fds(3). */
const FIRST_HANDED_FD = 3;
/** Twice the longest key, with a line end. */
const KEY_FILE_LIMIT_BYTES = 256;

class Aarpd {
  readonly #read: () => AarpdSettings;
  readonly #daemon: Daemon;
  readonly #roles: AarpdRoles;
  /** What holds, as far as it is fixed. */
  readonly #settings: AarpdSettings;
  #reloads: Promise<void> = Promise.resolve();

  private constructor(read: () => AarpdSettings, settings: AarpdSettings, daemon: Daemon, roles: AarpdRoles) {
    this.#read = read;
    this.#settings = settings;
    this.#daemon = daemon;
    this.#roles = roles;
  }

  /** @throws UsageError, system errors: whatever is wrong or can't be had. */
  static async start(read: () => AarpdSettings): Promise<Aarpd> {
    const settings = read();
    const { socket: path, socketMode: mode, clients, cache: cachePath, keyFile } = settings;
    const handed = handedSocket(process.env);
    const key = keyFile === undefined ? undefined : readKey(keyFile);
    const resolver = new EmbeddedResolver(key === undefined ? {} : { key });
    if (resolver.echoFailure !== undefined) warn(resolver.echoFailure.message);
    const roles: AarpdRoles = new AarpdRoles({ key, allMetrics: () => daemon.metrics(), say });
    const daemon = await openDaemon({
      listen: handed === undefined ? { path, mode } : { fd: handed },
      resolver,
      limits: { clients },
      ...(cachePath !== undefined && { cachePath }),
      software: `mobisock/${version()}`,
      otherMetrics: () => [resolverMetric(resolver), ...roles.metrics()],
      warn,
    });
    const aarpd = new Aarpd(read, settings, daemon, roles);
    const [failure] = await roles.apply(settings);
    if (failure !== undefined) {
      await aarpd.close();
      throw failure;
    }
    say(`ready on ${handed === undefined ? path : 'the socket handed over'}`);
    return aarpd;
  }

  /** What is wrong is told, and what was stays. One reload after another. */
  reload(): void {
    this.#reloads = this.#reloads.then(async () => {
      try {
        const settings = this.#read();
        for (const key of FIXED_KEYS) {
          if (settings[key] !== this.#settings[key])
            warn(`${key}: changed in the configuration, which takes a restart`);
        }
        const failures = await this.#roles.apply(settings);
        for (const failure of failures) warn(`${messageOf(failure)}; what it is about stays as it was`);
        say('configuration read again');
      } catch (error) {
        warn(`${messageOf(error)}\nThe configuration stays as it was.`);
      }
    });
  }

  async close(): Promise<void> {
    await this.#reloads;
    this.#roles.close();
    await this.#daemon.close();
  }
}

/** The descriptor that systemd has handed over, if it has. @throws UsageError where there are several. */
function handedSocket(env: NodeJS.ProcessEnv): number | undefined {
  if (env.LISTEN_PID !== String(process.pid)) return undefined;
  if (env.LISTEN_FDS === '1') return FIRST_HANDED_FD;
  throw new UsageError(`LISTEN_FDS: found "${env.LISTEN_FDS}", expected one socket`, 'ERR_MOBISOCK_ENVIRONMENT');
}

/** @throws UsageError, system errors */
function readKey(path: string): Uint8Array {
  const text = Buffer.from(readFileStart(path, KEY_FILE_LIMIT_BYTES)).toString('latin1').trim();
  if (/^(?:[0-9a-f]{2})+$/i.test(text)) return new Uint8Array(Buffer.from(text, 'hex'));
  throw new UsageError(`${path}: expected a key in hexadecimal digits, and nothing else`, 'ERR_MOBISOCK_POLICY');
}

function resolverMetric(resolver: EmbeddedResolver): Metric {
  const base = counter('aarpd_resolver_events_total', 'Probes, answers and what became of them.', 0);
  return { ...base, values: { label: 'event', by: { ...resolver.counters() } } };
}

/** This file is dist/cli/aarpd.js, or src/cli/aarpd.ts. */
function version(): string {
  return (createRequire(import.meta.url)('../../package.json') as { version: string }).version;
}

function say(line: string): void {
  process.stdout.write(`aarpd: ${line}\n`);
}

function warn(message: string): void {
  process.stderr.write(`aarpd: ${message}\n`);
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

async function main(args: readonly string[]): Promise<void> {
  if (args.includes('--help') || args.includes('-h')) return void process.stdout.write(HELP);
  const options: Readonly<Record<string, string | undefined>> = readOptions(args, ['config', ...OPTION_NAMES]);
  const started = Aarpd.start(() => readAarpdSettings(options, options.config));
  // From the first moment on: a signal that comes while it starts must neither kill it half-way nor be lost.
  process.on(
    'SIGHUP',
    () =>
      void started.then(
        (aarpd) => aarpd.reload(),
        () => {},
      ),
  );
  for (const signal of STOP_SIGNALS) {
    process.once(signal, () => {
      started.then((aarpd) => aarpd.close()).then(() => say(`${signal}, ended`), fail);
    });
  }
  await started;
}

function fail(error: unknown): void {
  const isUsage = error instanceof UsageError;
  warn(`${messageOf(error)}${isUsage ? '\naarpd --help tells what there is.' : ''}`);
  process.exitCode = isUsage ? 2 : 1;
}

main(process.argv.slice(2)).catch(fail);
