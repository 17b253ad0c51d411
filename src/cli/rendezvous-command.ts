/**
 * `mobisock rendezvous`: runs the rendezvous service until it is told to stop.
 */
import { formatTransportAddress } from '../core/address.ts';
import { openRendezvousService, type RendezvousService } from '../l4mob/io/rendezvous-service.ts';
import { RENDEZVOUS_PORT } from '../l4mob/rendezvous/rendezvous-port.ts';
import { DEFAULT_RENDEZVOUS_LIMITS } from '../l4mob/rendezvous/rendezvous-service.ts';
import { type Command, readCount, readListenAddress, readOptions } from './command.ts';

const { entries, perSource, ratePerSource, rateBeforeCookies } = DEFAULT_RENDEZVOUS_LIMITS;
/** Signals that end a service in order. */
const STOP_SIGNALS = ['SIGTERM', 'SIGINT'] as const;

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
    const limits = {
      ratePerSource: readCount('rate', options.rate ?? String(ratePerSource), 1, 1_000_000),
      rateBeforeCookies: readCount(
        'cookies-above',
        options['cookies-above'] ?? String(rateBeforeCookies),
        0,
        1_000_000,
      ),
      entries: readCount('entries', options.entries ?? String(entries), 2, 10_000_000),
      perSource: readCount('per-source', options['per-source'] ?? String(perSource), 2, 10_000_000),
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
