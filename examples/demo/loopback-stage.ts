/**
 * The demo without network namespaces: the client reaches the servers through relays on another loopback address, and
 * losing the network means that the relays cut everything. No address comes or goes, so this shows a session outliving
 * its connection, and less than lab-stage.ts does.
 *
 * mobisock leaves loopback alone by itself; the demo's policy says otherwise, and names the relay as the way to the
 * server's session port.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Program } from '../../test/lab/index.ts';
import { Relay } from './relay.ts';
import { nodeFlags, type Place, type ProgramPlan, type Stage } from './stage.ts';

const SERVER_ADDRESS = '127.0.0.1';
/** All of 127.0.0.0/8 works on Linux and Windows; macOS has 127.0.0.1 only, but always ::1. */
const RELAY_ADDRESSES = ['127.0.0.2', '::1'] as const;
const BYTES_PER_MS = 25_000;

export class LoopbackStage implements Stage {
  readonly notice: string;
  readonly loss: string = 'every connection is cut';
  readonly directory: string = mkdtempSync(join(tmpdir(), 'mobisock-demo-'));
  place: Place | undefined;
  readonly #relayAddress: string;
  readonly #relays: Relay[] = [];
  readonly #programs: Program[] = [];
  readonly #peers: { host: string; port: number; sessionPort: number }[] = [];
  readonly #cleanUp = (): void => {
    for (const program of this.#programs) program.kill('SIGKILL');
    rmSync(this.directory, { recursive: true, force: true });
  };

  private constructor(relayAddress: string, reason: string) {
    this.#relayAddress = relayAddress;
    this.notice = `Relays on loopback stand in for networks: ${reason}.`;
    this.place = { network: 'relay', address: relayAddress };
    process.once('exit', this.#cleanUp);
  }

  static async open(reason: string): Promise<LoopbackStage> {
    for (const address of RELAY_ADDRESSES) {
      if ((await freePort(address)) !== undefined) return new LoopbackStage(address, reason);
    }
    throw new Error(`no second loopback address, tried ${RELAY_ADDRESSES.join(' and ')}`);
  }

  async startServer(plan: ProgramPlan): Promise<string> {
    const sessionPort = (await freePort(SERVER_ADDRESS)) ?? 0;
    const args = ['--host', SERVER_ADDRESS, '--port', '0', ...plan.args];
    const mobile = { MOBISOCK_MOBILITY: 'prefer', MOBISOCK_SESSION_PORT: String(sessionPort) };
    const server = this.#start({ ...plan, args, env: { ...plan.env, ...(plan.shim === undefined ? {} : mobile) } });
    const port = Number((await server.line(/^serving .*:(\d+)\//))[1]);
    const relay = await this.#relayTo(port);
    if (plan.shim !== undefined) {
      const session = await this.#relayTo(sessionPort);
      this.#peers.push({ host: this.#relayAddress, port: relay.port, sessionPort: session.port });
    }
    const host = this.#relayAddress.includes(':') ? `[${this.#relayAddress}]` : this.#relayAddress;
    return `${host}:${relay.port}`;
  }

  startClient(plan: ProgramPlan): Program {
    if (plan.shim === undefined) return this.#start(plan);
    const policy = join(this.directory, 'policy.json');
    writeFileSync(policy, JSON.stringify({ mobility: 'prefer', peers: this.#peers }));
    return this.#start({ ...plan, env: { ...plan.env, MOBISOCK_POLICY: policy } });
  }

  async loseNetwork(): Promise<void> {
    this.place = undefined;
    await Promise.all(this.#relays.map((relay) => relay.cut()));
  }

  async gainNetwork(): Promise<void> {
    await Promise.all(this.#relays.map((relay) => relay.open()));
    this.place = { network: 'relay', address: this.#relayAddress };
  }

  async close(): Promise<void> {
    process.off('exit', this.#cleanUp);
    await Promise.all(this.#programs.map((program) => program.stop('SIGKILL')));
    await Promise.all(this.#relays.map((relay) => relay.cut()));
    this.#cleanUp();
  }

  async #relayTo(targetPort: number): Promise<Relay> {
    const relay = new Relay({ address: this.#relayAddress, targetPort, bytesPerMs: BYTES_PER_MS });
    await relay.open();
    this.#relays.push(relay);
    return relay;
  }

  #start(plan: ProgramPlan): Program {
    const program = new Program([process.execPath, ...nodeFlags(plan), plan.script, ...plan.args], {
      title: plan.script,
      env: { ...process.env, NODE_OPTIONS: undefined, ...plan.env },
      directory: process.cwd(),
    });
    this.#programs.push(program);
    return program;
  }
}

/** A port that nobody uses at the moment; undefined where the address does not exist. */
function freePort(host: string): Promise<number | undefined> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once('error', () => resolve(undefined));
    probe.listen({ host, port: 0 }, () => {
      const bound = probe.address();
      probe.close(() => resolve(bound !== null && typeof bound === 'object' ? bound.port : undefined));
    });
  });
}
