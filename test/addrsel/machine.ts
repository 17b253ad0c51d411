/** A machine in a namespace of its own, with its own /etc/hosts and /etc/gai.conf, and what it says of itself. */
import type { ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { RoutedDestination } from '../../src/addrsel/io/machine.ts';
import { readPolicyJson } from '../../src/addrsel/policy-json.ts';
import type { PolicyTable } from '../../src/addrsel/policy-table.ts';
import { Problems } from '../../src/core/shape.ts';
import type { AddressFacts } from '../../src/host/address-facts.ts';
import { Namespace } from '../host/namespace.ts';

const CHILD = fileURLToPath(new URL('./machine-child.ts', import.meta.url));
/** As in the files that are mounted over the system's. */
export const NAME = 'several.test';

export interface MachineAnswer {
  readonly addresses: readonly AddressFacts[];
  readonly kernel: PolicyTable;
  readonly glibc: PolicyTable;
  readonly destinations: readonly RoutedDestination[];
  readonly order: readonly string[];
}

export class Machine {
  readonly #namespace: Namespace;
  readonly #directory: string;
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;
  #gaiConfs = 0;

  private constructor(namespace: Namespace, directory: string) {
    this.#namespace = namespace;
    this.#directory = directory;
    this.writeFiles({ hosts: [], gaiConf: '' });
    const script = [
      `mount --bind ${join(directory, 'hosts')} /etc/hosts`,
      `mount --bind ${join(directory, 'gai.conf')} /etc/gai.conf`,
      'exec "$@"',
    ].join(' && ');
    const node = [process.execPath, '--import', 'tsx', CHILD];
    this.#child = namespace.spawn('unshare', ['--mount', 'sh', '-c', script, 'sh', ...node]);
    if (this.#child.stdout === null) throw new Error('no pipe');
    this.#lines = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]();
  }

  /** Two interfaces, v0 and v1, each other's ends, up and without addresses; no waiting for duplicates. */
  static async create(): Promise<Machine> {
    const namespace = await Namespace.create();
    namespace.ip('link set lo up');
    for (const name of ['default', 'all']) namespace.sysctl(`net.ipv6.conf.${name}.accept_dad=0`);
    namespace.ip('link add v0 type veth peer name v1');
    for (const name of ['v0', 'v1']) {
      namespace.ip(`link set ${name} addrgenmode none`);
      namespace.ip(`link set ${name} up`);
    }
    return new Machine(namespace, mkdtempSync(join(tmpdir(), 'mobisock-machine-')));
  }

  /** `ip` commands, all of one family. */
  ip(family: 4 | 6, lines: readonly string[]): void {
    this.#namespace.ip(`-${family} -batch -`, `${lines.join('\n')}\n`);
  }

  sysctl(setting: string): void {
    this.#namespace.sysctl(setting);
  }

  writeFiles({ hosts, gaiConf }: { readonly hosts: readonly string[]; readonly gaiConf: string }): void {
    writeFileSync(join(this.#directory, 'hosts'), hosts.map((ip) => `${ip} ${NAME}\n`).join(''));
    const path = join(this.#directory, 'gai.conf');
    // glibc reads the file again where it said so before, and its time is another one.
    writeFileSync(path, `reload yes\n${gaiConf}`);
    this.#gaiConfs += 1;
    utimesSync(path, this.#gaiConfs, this.#gaiConfs);
  }

  async ask(question: { readonly ips?: readonly string[]; readonly name?: string }): Promise<MachineAnswer> {
    this.#child.stdin?.write(`${JSON.stringify(question)}\n`);
    const { value, done } = await this.#lines.next();
    if (done === true) throw new Error('the machine has ended');
    const answer = JSON.parse(value);
    return { ...answer, kernel: tableOf(answer.kernel), glibc: tableOf(answer.glibc) };
  }

  async close(): Promise<void> {
    this.#child.stdin?.end();
    await this.#namespace.close();
    rmSync(this.#directory, { recursive: true, force: true });
  }
}

function tableOf(text: string): PolicyTable {
  const problems = new Problems();
  const table = readPolicyJson('table', new TextEncoder().encode(text), { problems, code: 'ERR_MOBISOCK_POLICY' });
  problems.throwIfAny();
  return table;
}
