/**
 * The times by which a datagram flow lives, in milliseconds. docs/protocol.md, "Datagram flows", lists them.
 */
import type { LadderSteps } from './ladder.ts';

export interface FlowTiming {
  /** Empty data after this long without sending, for NAT mappings. Undefined: never. */
  readonly keepAliveMs: number | undefined;
  /**
   * A flow on which nothing was sent or heard for this long is closed; one that is kept alive asks whether its peer is
   * there. Undefined: never.
   */
  readonly idleTimeoutMs: number | undefined;
  /** Unanswered questions for this long close the flow. */
  readonly sessionTimeoutMs: number;
}

export const DEFAULT_FLOW_TIMING: FlowTiming = {
  keepAliveMs: undefined,
  idleTimeoutMs: undefined,
  sessionTimeoutMs: 15 * 60_000,
};

/** OPEN: as L4_INIT, then patiently. */
export const OPEN_STEPS: LadderSteps = { waitsMs: [40, 80, 160, 320, 640, 1280], endless: true };
/** A flow that is not confirmed by then is given up, by the initiator and, a little later, by the responder. */
export const OPEN_TIMEOUT_MS = 8_000;
export const ACCEPT_TIMEOUT_MS = 10_000;
/** OPENs that come in bursts, and packets for a closed flow, are answered no more often than this. */
export const ANSWER_AGAIN_MS = 20;

/** After a move: fast, since nothing reaches us until the peer knows; then patient, while the peer is in an outage. */
export const ANNOUNCE_STEPS: LadderSteps = { waitsMs: [40, 80, 160, 320, 640, 1280, 2500], endless: true };
/** After silence: most likely there is just nothing to say. */
export const ASK_STEPS: LadderSteps = { waitsMs: [200, 300, 500, 1000, 1000, 2500], endless: true };
/** Validation of a path: over after about 8 s, unless packets still come from it. */
export const CHALLENGE_STEPS: LadderSteps = { waitsMs: [100, 200, 400, 800, 1500, 2500, 2500], endless: false };
/** A question is padded, since the peer may only answer three times its size: challenges that get lost have to fit. */
export const QUESTION_BYTES = 160;
/** The first one after a move, so that the peer's data need not wait for the validation. */
export const MOVE_BYTES = 1200;
/** From this repetition on, the peer's other addresses are asked as well. */
export const ASK_ELSEWHERE_FROM = 2;
/** But no more often than this for one piece of news: nobody else than the peer may have said that it is there. */
export const MAX_ASKED_ELSEWHERE = 8;
/** Unanswered for this long: the owner hears of it, and may know another way to find the peer. */
export const LOST_MS = 1_500;
/** And again this often: the peer may have moved on meanwhile. */
export const LOST_AGAIN_MS = 2_500;
/** An old path that proved to work is not left again at once for a source address that nobody announced. */
export const PIN_MS = 1_000;

/** Data that comes stops: asked after four of its own intervals, within these bounds. */
export const QUIET_INTERVALS = 4;
export const LEAST_QUIET_MS = 700;
/** We send, and nothing comes back. */
export const OWED_MS = 1_000;
/** But in flows that go one way, no more often than this. */
export const ASK_EVERY_MS = 5_000;

/** CLOSE: until it is answered, or nobody seems to be there; over after about 8 s. */
export const CLOSE_STEPS: LadderSteps = { waitsMs: [100, 200, 400, 800, 1500, 2500, 2500], endless: false };
/** A closed flow delivers what was overtaken by its end, answers the peer's CLOSEs, and says its own again. */
export const LINGER_MS = 10_000;
