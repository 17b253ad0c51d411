/**
 * Amplification watch: beside one end of a datagram flow, and knowing both, it counts every byte to and from each
 * place. Until the peer has received a challenge that was sent to a place, and something of the peer's that answers
 * has come back, no more than three times what came genuinely from there may go there (RFC 9000, section 8.1).
 */
import { formatTransportAddress, type TransportAddress } from '../../src/core/address.ts';
import { DATAGRAM_TYPE } from '../../src/l4mob/wire/datagram.ts';

const MOST_TIMES = 3;
/** A CHALLENGE without padding: what may go without an allowance to where the peer said that it is. */
const QUESTION_BYTES = 45;

export class AmplificationWatch {
  readonly #violated: (what: string) => void;
  readonly #bytesTo = new Map<string, number>();
  readonly #bytesFrom = new Map<string, number>();
  /** Packets on their way, and where they went. */
  readonly #underway = new Map<string, string>();
  /** Challenges to these have reached the peer. */
  readonly #asked = new Set<string>();
  readonly #validated = new Set<string>();
  readonly #vouched = new Set<string>();

  constructor(violated: (what: string) => void) {
    this.#violated = violated;
  }

  /** The peer is there, and nobody has to show it: it answered an L4_INIT from there. */
  trust(place: TransportAddress): void {
    this.#validated.add(formatTransportAddress(place));
  }

  /** The peer itself, or a rendezvous, says that the peer is there. */
  vouchFor(places: readonly TransportAddress[]): void {
    for (const place of places) this.#vouched.add(formatTransportAddress(place));
  }

  sent(bytes: Buffer, to: TransportAddress): void {
    const place = formatTransportAddress(to);
    this.#underway.set(bytes.toString('latin1'), place);
    if (this.#validated.has(place)) return;
    const isQuestion = bytes[0] === DATAGRAM_TYPE.challenge && bytes.length === QUESTION_BYTES;
    const sent = (this.#bytesTo.get(place) ?? 0) + bytes.length;
    const came = this.#bytesFrom.get(place) ?? 0;
    if (isQuestion && this.#vouched.has(place) && sent > MOST_TIMES * came) return;
    this.#bytesTo.set(place, sent);
    if (sent <= MOST_TIMES * came) return;
    this.#violated(`${sent} bytes to ${place}, from which ${came} came: the last of type ${bytes[0]}`);
  }

  /** A packet has come; copies and forgeries count for nothing. */
  came(bytes: Buffer, from: TransportAddress, peers: AmplificationWatch): void {
    const name = bytes.toString('latin1');
    const wentTo = peers.#underway.get(name);
    if (wentTo === undefined) return;
    peers.#underway.delete(name);
    const place = formatTransportAddress(from);
    this.#bytesFrom.set(place, (this.#bytesFrom.get(place) ?? 0) + bytes.length);
    if (bytes[0] === DATAGRAM_TYPE.challenge || bytes[0] === DATAGRAM_TYPE.addresses) peers.#asked.add(wentTo);
    if (bytes[0] !== DATAGRAM_TYPE.answer) return;
    for (const asked of this.#asked) this.#validated.add(asked);
    this.#asked.clear();
  }
}
