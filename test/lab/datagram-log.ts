/**
 * Datagram log: every UDP datagram that a host's kernel sends, and every one that it has for one of the host's
 * sockets, byte for byte. What arrived is told from what was lost exactly, whoever dropped it on the way: behind the
 * input hook there is only the socket's buffer, whose overflows are counted by the kernel.
 *
 * Life-cycle: start() resolves when both directions are recorded; sent() and arrived() wait until all that passed
 * before the call is in the file. The recorders end with the laboratory. Needs `lab.canCapture`.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Host } from './host.ts';
import type { Lab } from './lab.ts';

const GROUPS = { output: 1, input: 2 } as const;
const HOOKS = ['output', 'input'] as const;
/** The kernel hands over what it logs once a second at the latest. */
const CATCH_UP_LIMIT_MS = 10_000;

type Hook = keyof typeof GROUPS;

export class DatagramLog {
  readonly #host: Host;
  readonly #directory: string;

  private constructor(host: Host, directory: string) {
    this.#host = host;
    this.#directory = directory;
  }

  static async start(lab: Lab, host: Host): Promise<DatagramLog> {
    const log = new DatagramLog(host, lab.directory);
    const recorders = HOOKS.map((hook) =>
      // tcpdump would drop to a user that can't write here.
      host.run('tcpdump', ['-Z', 'root', '-U', '-i', `nflog:${GROUPS[hook]}`, '-w', log.#file(hook)]),
    );
    for (const recorder of recorders) await recorder.line(/listening on/, { stream: 'stderr' });
    const chains = HOOKS.map(
      (hook) =>
        `chain ${hook} { type filter hook ${hook} priority 0; meta l4proto udp counter log group ${GROUPS[hook]} snaplen 2048; }`,
    );
    await host.namespace.nft(`table inet datagram_log {\n${chains.join('\n')}\n}`);
    return log;
  }

  sent(): Promise<Buffer[]> {
    return this.#payloads('output');
  }

  arrived(): Promise<Buffer[]> {
    return this.#payloads('input');
  }

  #file(hook: Hook): string {
    return join(this.#directory, `${this.#host.name}-${hook}.pcap`);
  }

  async #payloads(hook: Hook): Promise<Buffer[]> {
    const listing = await this.#host.namespace.command(['nft', 'list', 'chain', 'inet', 'datagram_log', hook]);
    const passed = Number(/counter packets (\d+)/.exec(listing)?.[1]);
    const deadline = performance.now() + CATCH_UP_LIMIT_MS;
    for (;;) {
      const payloads = readRecords(readFileSync(this.#file(hook))).map(payloadOf);
      if (payloads.length >= passed) return payloads;
      if (performance.now() > deadline) throw new Error(`${payloads.length} of ${passed} datagrams were recorded`);
      await sleep(100);
    }
  }
}

/** Datagrams that the kernel has dropped since the host was made, for want of room in a socket's buffer. */
export async function bufferOverflows(host: Host): Promise<number> {
  const [ipv4, ipv6] = await Promise.all(
    ['snmp', 'snmp6'].map((name) => host.namespace.command(['cat', `/proc/net/${name}`])),
  );
  const [names, values] = (ipv4 ?? '').split('\n').filter((line) => line.startsWith('Udp: '));
  const place = names?.split(' ').indexOf('RcvbufErrors') ?? -1;
  return Number(values?.split(' ')[place]) + Number(/Udp6RcvbufErrors\s+(\d+)/.exec(ipv6 ?? '')?.[1]);
}

/** The whole records of a pcap file in this machine's byte order; the last one may still be being written. */
function readRecords(file: Buffer): Buffer[] {
  const records: Buffer[] = [];
  for (let at = 24; at + 16 <= file.length; ) {
    const end = at + 16 + file.readUInt32LE(at + 8);
    if (end > file.length) break;
    records.push(file.subarray(at + 16, end));
    at = end;
  }
  return records;
}

/** Of the UDP datagram in a record of link type NFLOG: attributes, of which one is the IP packet. */
function payloadOf(record: Buffer): Buffer {
  const PACKET = 9;
  for (let at = 4; at + 4 <= record.length; ) {
    const length = record.readUInt16LE(at);
    if (record.readUInt16LE(at + 2) === PACKET) {
      const packet = record.subarray(at + 4, at + length);
      const version = (packet[0] as number) >> 4;
      return packet.subarray((version === 4 ? ((packet[0] as number) & 15) * 4 : 40) + 8);
    }
    at += (length + 3) & ~3;
  }
  throw new Error('a record without a packet');
}
