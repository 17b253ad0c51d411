/**
 * `mobisock rendezvous`: runs the rendezvous service until it is told to stop.
 */
import { formatTransportAddress } from '../core/address.ts';
import { openRendezvousService, type RendezvousService } from '../l4mob/io/rendezvous-service.ts';
import { RENDEZVOUS_PORT } from '../l4mob/rendezvous/rendezvous-port.ts';
import { DEFAULT_RENDEZVOUS_LIMITS, type RendezvousLimits } from '../l4mob/rendezvous/rendezvous-service.ts';
import { type Command, readCount, readListenAddress, readOptions } from './command.ts';

const { entries, perSource, ratePerSource, rateBeforeCookies } = DEFAULT_RENDEZVOUS_LIMITS;
type RendezvousLimitName = keyof RendezvousLimits;

/** What the limits of a service may be set to; the upper bounds stop slips of the pen. */
export const RENDEZVOUS_BOUNDS: Readonly<
  Record<RendezvousLimitName, { readonly least: number; readonly most: number }>
> = {
  ratePerSource: { least: 1, most: 1_000_000 },
  rateBeforeCookies: { least: 0, most: 1_000_000 },
  entries: { least: 2, most: 10_000_000 },
  perSource: { least: 2, most: 10_000_000 },
};
/** Signals that end a service in order. */
export const STOP_SIGNALS = ['SIGTERM', 'SIGINT'] as const;

const HELP = `Usage: mobisock rendezvous [OPTION]...

Runs a rendezvous service: a third host by which two peers that have moved at the same instant find each other again.
Point both at it with MOBISOCK_RENDEZVOUS=HOST:PORT. It learns no keys, no content and no identities. UDP only.

  --listen ADDRESS:PORT   where to listen; a port alone means all addresses (default: ${RENDEZVOUS_PORT}). A host with several
                          addresses should name the one that its clients ask.
  --rate N                questions a second from one source (default: ${ratePerSource})
  --cookies-above N       questions a second in all, beyond which sources have to show that they are theirs
                          (default: ${rateBeforeCookies})
  --entries N             words kept at a time, and as many who wait; 1.3 KB for one of each (default: ${entries})
  --per-source N          of these, from one source (default: ${perSource})
  -h, --help              this text

It prints one line when it is ready, and one with what it did when SIGTERM or SIGINT ends it.
`;

export const rendezvousCommand: Command = {
  summary: 'a third host by which peers that moved at the same instant find each other',
  help: HELP,
  async run(args) {
    const options = readOptions(args, ['listen', 'rate', 'cookies-above', 'entries', 'per-source']);
    const { ip: address, port } = readListenAddress('listen', options.listen ?? String(RENDEZVOUS_PORT));
    const count = (name: 'rate' | 'cookies-above' | 'entries' | 'per-source', limit: RendezvousLimitName): number => {
      const { least, most } = RENDEZVOUS_BOUNDS[limit];
      return readCount(name, options[name] ?? String(DEFAULT_RENDEZVOUS_LIMITS[limit]), least, most);
    };
    const limits = {
      ratePerSource: count('rate', 'ratePerSource'),
      rateBeforeCookies: count('cookies-above', 'rateBeforeCookies'),
      entries: count('entries', 'entries'),
      perSource: count('per-source', 'perSource'),
    };
    const service = await openRendezvousService({ address, port, limits });
    for (const signal of STOP_SIGNALS) process.once(signal, () => stop(service, signal));
    process.stdout.write(`rendezvous: ready on udp ${formatTransportAddress(service.address)}\n`);
  },
};

function stop(service: RendezvousService, signal: string): void {
  const counts = Object.entries(service.counters()).map(([name, count]) => `${name} ${count}`);
  process.stdout.write(`rendezvous: ${signal}, ${counts.join(', ')}\n`);
  service.close();
}
