/**
 * What the processes of this host have found out about destinations, through aarpd: a short-lived program need not wait
 * out a head start that others have waited before. A hint only: an L4_INIT goes out all the same, and a session that is
 * ready first is taken.
 *
 * The service is not asked before a near peer would have answered by itself, and never where its socket is not there:
 * loading what speaks with it takes longer than most contacts.
 */
import type { MobilityVerdict } from '../../aarp/daemon/daemon-protocol.ts';
import type { DaemonVerdicts } from '../../aarp/io/daemon/daemon-verdicts.ts';
import { canonicalAddress, isLoopback, type TransportAddress } from '../../core/address.ts';
import { after } from '../../host/clock.ts';

/** As long as this process itself would believe it. */
const GOOD_FOR_MS = 10 * 60_000;
/** Telling is in nobody's hurry, and a program has just begun to use its connection. */
const TELL_AFTER_MS = 20;

export class SharedVerdicts {
  readonly #service: () => DaemonVerdicts | undefined;

  /** `service`: undefined while there is none to be had. */
  constructor(service: () => DaemonVerdicts | undefined) {
    this.#service = service;
  }

  /** `answer` is called at most once, and never where nothing is known of one of them; `mobile` if any of them is. */
  ask(addresses: readonly string[], port: number, answer: (verdict: MobilityVerdict, ttlMs: number) => void): void {
    const destinations = addresses.map((address) => shared(address, port)).filter((known) => known !== undefined);
    const service = destinations.length === 0 ? undefined : this.#service();
    let waiting = addresses.length;
    let shortestMs = GOOD_FOR_MS;
    let answered = false;
    for (const destination of destinations) {
      service?.ask(destination, (verdict, ttlMs) => {
        waiting -= 1;
        shortestMs = Math.min(shortestMs, ttlMs);
        if (answered || (verdict === 'plain' && waiting > 0)) return;
        answered = true;
        answer(verdict, shortestMs);
      });
    }
  }

  tell(address: string, port: number, verdict: MobilityVerdict): void {
    const destination = shared(address, port);
    if (destination === undefined) return;
    after(TELL_AFTER_MS, () => this.#service()?.tell(destination, verdict, GOOD_FOR_MS));
  }
}

/** Undefined for what means something else to other processes, who may be in another network namespace. */
function shared(address: string, port: number): TransportAddress | undefined {
  const ip = canonicalAddress(address);
  return ip === undefined || isLoopback(ip) ? undefined : { ip, port };
}
