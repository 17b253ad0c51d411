/**
 * Whether destinations are mobile or plain, as the processes of a host tell each other through aarpd: a short-lived one
 * need not find out again. Word from another process is a hint that saves waiting; it decides nothing by itself.
 */
import { formatTransportAddress, type TransportAddress } from '../../../core/address.ts';
import { type MobilityVerdict, type Reply, replyMs } from '../../daemon/daemon-protocol.ts';
import type { DaemonConnection } from './daemon-connection.ts';

export class DaemonVerdicts {
  readonly #connection: DaemonConnection;

  constructor(connection: DaemonConnection) {
    this.#connection = connection;
  }

  /** `answer` is called at most once, and never where nothing is known. The times are milliseconds. */
  ask(destination: TransportAddress, answer: (verdict: MobilityVerdict, ttlMs: number) => void): void {
    const subject = formatTransportAddress(destination);
    this.#connection.ask(
      { verb: 'verdict-get', of: { about: 'mobility', subject } },
      {
        onReply: (reply) => {
          const known = verdictOf(reply);
          if (known !== undefined) answer(known.verdict, known.ttlMs);
        },
        onLost: () => {}, // whoever asked goes on as it would without an answer
      },
    );
  }

  tell(destination: TransportAddress, verdict: MobilityVerdict, ttlMs: number): void {
    const subject = formatTransportAddress(destination);
    this.#connection.tell({ verb: 'verdict-put', of: { about: 'mobility', subject }, verdict, ttlMs });
  }
}

function verdictOf(reply: Reply): { readonly verdict: MobilityVerdict; readonly ttlMs: number } | undefined {
  if (reply.kind !== 'ok') return undefined;
  const [verdict, ttl] = reply.words;
  const ttlMs = replyMs(ttl);
  if ((verdict !== 'mobile' && verdict !== 'plain') || ttlMs === undefined) return undefined;
  return { verdict, ttlMs };
}
