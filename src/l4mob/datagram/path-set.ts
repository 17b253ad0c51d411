/**
 * Path set: where a flow's peer is, where it was last known to be for sure, and where else it seemed to be. The
 * address update rule (docs/protocol.md, "Moves of a flow") from the moment that a packet has proved to be genuine:
 *
 *     newest packet from another place  -> follow at once; challenge the new path, and the last valid one too
 *     newest packet from the old place  -> back: somebody had copied a packet and forwarded it faster
 *     the old path answers              -> back as well, unless the peer itself had announced the move
 *     the new path answers              -> it is valid; the old one is forgotten when it keeps silent
 *     neither answers                   -> what comes from where goes on deciding
 */
import type { TransportAddress } from '../../core/address.ts';
import { earliest, type Instant } from '../../core/time.ts';
import { PIN_MS } from './flow-timing.ts';
import { Path } from './path.ts';

/** Places beside the present path and the last valid one. More cost only a validation that has to begin anew. */
const MAX_PENDING = 2;
/** A path that was valid and left unannounced is taken up again as it was, so long: some peers send from two places. */
const REMEMBER_MS = 10_000;
/** After so many challenges a path that the peer announced gives way to the old one, if that has answered. */
const PATIENT_CHALLENGES = 4;

/** What became of a packet from somewhere else. `undone`: the flow is back where it was before. */
export type Followed = 'moved' | 'undone' | 'pinned';

export class PathSet {
  #current: Path;
  /** The last valid path, while the present one may be a mistake. */
  #anchor: Path | undefined;
  /** The anchor has answered since it was left. */
  #anchorAnswered = false;
  #pending: Path[] | undefined;
  #pinnedUntil = 0;

  constructor(remote: TransportAddress, validated: boolean) {
    this.#current = new Path(remote, validated);
  }

  get current(): Path {
    return this.#current;
  }

  /** The known path to or from that address. */
  find(address: TransportAddress): Path | undefined {
    if (this.#current.is(address)) return this.#current;
    if (this.#anchor?.is(address) === true) return this.#anchor;
    return this.#pending?.find((path) => path.is(address));
  }

  /** The path to or from an address that was challenged, whether or not it is still remembered. */
  recall(address: TransportAddress): Path {
    const known = this.find(address);
    if (known !== undefined) return known;
    const path = new Path(address, false);
    this.#remember(path);
    return path;
  }

  /** All known ones, the present one first. */
  *all(): IterableIterator<Path> {
    yield this.#current;
    if (this.#anchor !== undefined) yield this.#anchor;
    if (this.#pending !== undefined) yield* this.#pending;
  }

  /** Before the flow is confirmed there is no path to move from: the newest packet says where the answer goes. */
  replaceProvisional(remote: TransportAddress): void {
    if (!this.#current.is(remote)) this.#current = new Path(remote, false);
  }

  /** The newest genuine packet came from there, which is not the present path. */
  follow(now: Instant, from: TransportAddress, announced: boolean, bytes: number): Followed {
    if (!announced && now < this.#pinnedUntil) return 'pinned';
    this.#forgetStale(now);
    const known = this.find(from);
    const path = known ?? new Path(from, false);
    path.announced = announced;
    path.received(bytes);
    const undone = known !== undefined && known === this.#anchor;
    this.#leaveFor(now, path);
    if (!path.validated) path.startChallenge(now);
    this.#anchor?.startChallenge(now);
    return undone ? 'undone' : 'moved';
  }

  /** A peer that was looked for answered from this address: it is there, and receives there. */
  adopt(now: Instant, address: TransportAddress): void {
    const path = this.find(address) ?? new Path(address, true);
    path.validate();
    if (path === this.#current) return;
    this.#leaveFor(now, path);
    this.#anchor = undefined;
    this.#pending = undefined;
  }

  /**
   * The peer has answered a challenge to this path. Returns `validated` for the present path, `undone` where that
   * shows that the flow should never have left it.
   */
  answered(now: Instant, path: Path): 'validated' | 'undone' | undefined {
    const wasValidated = path.validated;
    path.validate();
    if (path === this.#current) {
      if (!wasValidated) this.#pending = this.#pending?.filter((other) => other.validated);
      return wasValidated ? undefined : 'validated';
    }
    if (path !== this.#anchor && this.#current.validated) return undefined;
    if (!this.#current.announced) {
      this.#pinnedUntil = now + PIN_MS;
      this.#leaveFor(now, path);
      return 'undone';
    }
    // The peer itself said that it left: only if it can't be reached where it went, it is here after all.
    this.#pending = this.#pending?.filter((other) => other !== path);
    this.#anchor = this.#current.validated ? undefined : path;
    this.#anchorAnswered = true;
    return undefined;
  }

  nextChallenge(): Instant | undefined {
    let next = this.#current.challengeAt;
    if (this.#anchor === undefined && this.#pending === undefined) return next;
    for (const path of this.all()) next = earliest(next, path.challengeAt);
    return next;
  }

  /** The paths to be challenged now. */
  takeChallenges(now: Instant): Path[] {
    return [...this.all()].filter((path) => path.takeChallenge(now));
  }

  /** Forgets validations that came to nothing. Returns whether the flow is back on the old path because of that. */
  expire(now: Instant): boolean {
    this.#forgetStale(now);
    const anchor = this.#anchor;
    if (anchor === undefined) return false;
    const current = this.#current;
    if (!current.validated) {
      const patient = current.challengeAt !== undefined && current.challenges < PATIENT_CHALLENGES;
      if (patient || !this.#anchorAnswered) return false;
      this.#leaveFor(now, anchor);
      return true;
    }
    if (anchor.challengeAt !== undefined) return false;
    this.#anchor = undefined;
    if (!current.announced) this.#remember(anchor);
    return false;
  }

  #leaveFor(now: Instant, path: Path): void {
    const left = this.#current;
    left.leftAt = now;
    this.#pending = this.#pending?.filter((other) => other !== path);
    if (path === this.#anchor) this.#anchor = undefined;
    if (left.validated) {
      if (this.#anchor !== undefined) this.#remember(this.#anchor);
      this.#anchor = left;
      this.#anchorAnswered = false;
    } else this.#remember(left);
    this.#current = path;
  }

  #remember(path: Path): void {
    this.#pending ??= [];
    if (this.#pending.length >= MAX_PENDING) this.#pending.shift();
    this.#pending.push(path);
  }

  #forgetStale(now: Instant): void {
    if (this.#pending === undefined) return;
    this.#pending = this.#pending.filter(
      (path) => path.challengeAt !== undefined || (path.validated && now < path.leftAt + REMEMBER_MS),
    );
    if (this.#pending.length === 0) this.#pending = undefined;
  }
}
