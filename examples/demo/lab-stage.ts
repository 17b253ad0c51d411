/** The demo in network namespaces: the client really loses its link and address, and really gets another. */
import { createLab, type Host, type Lab, type Program } from '../../test/lab/index.ts';
import { nodeFlags, type Place, type ProgramPlan, type Stage } from './stage.ts';

/** Slow enough to watch, fast enough not to bore. Each download has half, and what the other leaves. */
const WIFI_MBIT = 400;
const LTE_MBIT = 320;
/** Some 20 ms at these rates; the default of 1000 large segments would be more than a second. */
const QUEUE_BYTES = 512 * 1024;
const FIRST_PORT = 8080;

export class LabStage implements Stage {
  readonly notice: undefined = undefined;
  readonly loss: string = 'the network is gone, and the address with it';
  readonly #lab: Lab;
  #nextPort = FIRST_PORT;

  private constructor(lab: Lab) {
    this.#lab = lab;
  }

  static async open(): Promise<LabStage> {
    const lab = await createLab({ offload: true });
    try {
      await shareFairly(lab, 'wifi', WIFI_MBIT);
      await shareFairly(lab, 'lte', LTE_MBIT);
      // What the second server sends has its own class, 1:20, so that neither download crowds out the other.
      await lab.router.nft(`table inet demo {
        chain classes { type filter hook forward priority 0; tcp sport ${FIRST_PORT + 1} meta priority set 0x10020; }
      }`);
    } catch (error) {
      await lab.close();
      throw error;
    }
    return new LabStage(lab);
  }

  get directory(): string {
    return this.#lab.directory;
  }

  get place(): Place | undefined {
    const [network] = this.#lab.client.attached;
    return network === undefined ? undefined : { network, address: this.#lab.client.address(network) };
  }

  async startServer(plan: ProgramPlan): Promise<string> {
    const port = this.#nextPort;
    this.#nextPort += 1;
    const server = this.#run(this.#lab.server, { ...plan, args: ['--port', String(port), ...plan.args] });
    await server.line(/^serving/);
    return `${this.#lab.server.address('east')}:${port}`;
  }

  startClient(plan: ProgramPlan): Program {
    return this.#run(this.#lab.client, plan);
  }

  async loseNetwork(): Promise<void> {
    await this.#lab.client.detach();
  }

  async gainNetwork(): Promise<void> {
    await this.#lab.client.attach('lte');
  }

  async close(): Promise<void> {
    await this.#lab.close();
  }

  #run(host: Host, plan: ProgramPlan): Program {
    return host.run('node', [plan.script, ...plan.args], { nodeFlags: nodeFlags(plan), env: plan.env ?? {} });
  }
}

async function shareFairly(lab: Lab, network: string, mbit: number): Promise<void> {
  const classes = [10, 20].flatMap((id) => [
    `class add dev ${network} parent 1:1 classid 1:${id} htb rate ${mbit / 2}mbit ceil ${mbit}mbit`,
    `qdisc add dev ${network} parent 1:${id} bfifo limit ${QUEUE_BYTES}`,
  ]);
  const lines = [
    `qdisc add dev ${network} root handle 1: htb default 10`,
    `class add dev ${network} parent 1: classid 1:1 htb rate ${mbit}mbit`,
    ...classes,
  ];
  await lab.router.command(['tc', '-batch', '-'], `${lines.join('\n')}\n`);
}
