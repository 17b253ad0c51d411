/**
 * Former flows: packets that say they belong to a flow which nobody here knows, because the process before this one had
 * it. To the application they would be noise, until the peer notices and asks anew.
 *
 * Nothing about them can be verified, so they are told from an application's own datagrams by what no other format is
 * likely to have: the first byte, a small state sequence number and a packet number of less than 2^40 at their places,
 * and, from one datagram to the next, the same id with a rising packet number. So the first packet of each former flow
 * gets through, and nothing does before a format has shown all that.
 */
import { DATAGRAM_HEADER_BYTES, DATAGRAM_TYPE, datagramId } from '../wire/datagram.ts';

/** Of one socket: clients of the process before. The oldest goes first. */
const MAX_FORMER = 4096;
/** Moves of one side of a flow: nobody moves more often. */
const MOST_MOVES = 0xffff;
const STATE_SEQUENCE_AT = 9;
const PACKET_NUMBER_AT = 13;
const BITS_40 = 2 ** 40;

export class FormerFlows {
  /** Highest packet number by id. */
  readonly #highest = new Map<number, number>();

  /** Whether it is noise. `bytes` may be a packet of a flow, and of none that is known. */
  isNoise(bytes: Buffer): boolean {
    const stateSequence = bytes.readUInt32BE(STATE_SEQUENCE_AT);
    if ((bytes[0] as number) < DATAGRAM_TYPE.data || stateSequence === 0 || stateSequence > MOST_MOVES) return false;
    const number = bytes.readUIntBE(PACKET_NUMBER_AT + 2, DATAGRAM_HEADER_BYTES - PACKET_NUMBER_AT - 2);
    if (bytes.readUInt16BE(PACKET_NUMBER_AT) !== 0 || number === 0 || number >= BITS_40) return false;
    const { high, low } = datagramId(bytes);
    const id = (high & 0x1fffff) * 2 ** 32 + low;
    const highest = this.#highest.get(id);
    if (highest !== undefined && number <= highest) return false;
    this.#highest.delete(id);
    this.#highest.set(id, number);
    if (this.#highest.size > MAX_FORMER) {
      for (const oldest of this.#highest.keys()) {
        this.#highest.delete(oldest);
        break;
      }
    }
    return highest !== undefined;
  }
}
