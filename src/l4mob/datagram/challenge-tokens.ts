/**
 * Challenge tokens: what a CHALLENGE asks back. They are computed (as cookies are) from a secret of the process, so a
 * validation that is under way costs no memory and can't be pushed out by any number of apparent moves.
 */

import type { TransportAddress } from '../../core/address.ts';
import { equalConstantTime } from '../../core/bytes.ts';
import type { Random } from '../../core/random.ts';
import type { Instant } from '../../core/time.ts';
import { messageMac } from '../key-schedule.ts';
import { CHALLENGE_BYTES, type DATAGRAM_TYPE, type FlowId } from '../wire/datagram.ts';

/** Good for one to two of these: longer than any path takes, too short to prove where somebody was long ago. */
const PERIOD_MS = 10_000;
const SECRET_BYTES = 32;
const encoder = new TextEncoder();

export type ChallengeType =
  | typeof DATAGRAM_TYPE.challenge
  | typeof DATAGRAM_TYPE.addresses
  | typeof DATAGRAM_TYPE.close;

/** Whose challenge it is: the flow, and our own state sequence number in it. */
export interface Challenger {
  readonly id: FlowId;
  readonly stateSequence: number;
}

export class ChallengeTokens {
  readonly #secret: Uint8Array;

  constructor(random: Random) {
    this.#secret = random.bytes(SECRET_BYTES).slice();
  }

  token(now: Instant, challenger: Challenger, type: ChallengeType, to: TransportAddress): Uint8Array {
    return this.#token(Math.floor(now / PERIOD_MS), challenger, type, to);
  }

  /** Whether `answer` is what a recent challenge to that address asked back. */
  isAnswer(
    now: Instant,
    challenger: Challenger,
    type: ChallengeType,
    to: TransportAddress,
    answer: Uint8Array,
  ): boolean {
    const period = Math.floor(now / PERIOD_MS);
    return (
      equalConstantTime(this.#token(period, challenger, type, to), answer) ||
      equalConstantTime(this.#token(period - 1, challenger, type, to), answer)
    );
  }

  #token(period: number, { id, stateSequence }: Challenger, type: number, { ip, port }: TransportAddress): Uint8Array {
    const text = `${period} ${id.high} ${id.low} ${stateSequence} ${type} ${port} ${ip}`;
    return messageMac(this.#secret, encoder.encode(text)).subarray(0, CHALLENGE_BYTES);
  }
}
