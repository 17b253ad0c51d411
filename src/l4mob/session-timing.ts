/**
 * The times by which a stream session lives, in milliseconds. docs/protocol.md, "Timers", lists them with the others.
 */
import { KEEPALIVE_MS } from './liveness.ts';
import type { Subflow } from './subflow.ts';

/** A lone acknowledgement waits this long for something to ride on. */
export const ACK_DELAY_MS = 20;
/** An unanswered hello: well above any handshake's delay in a peer under load. */
const CONFIRM_MS = 3_000;
/** The same where addresses or routes have changed meanwhile, so that it may have been sent the wrong way. */
const CONFIRM_AFTER_NEWS_MS = 500;
/** But never sooner than a slow path needs: its packets may have to be sent twice. */
const CONFIRM_ROUND_TRIPS = 4;
/** The peer's kernel closed the subflow and no resume came: the process is gone. Within the 3 s of a crash notice. */
const CLOSED_MEANS_GONE_MS = 2_500;
/** A reset may come from a NAT that forgot, so an idle peer may be in an outage just now, or know nothing of it yet. */
export const PATIENT_GONE_MS = 30_000;
/** But a peer that was heard this shortly before is no idle one: if it lives, liveness brings it back at once. */
const HEARD_JUST_NOW_MS = 1_000;
/** Responder: the peer acknowledges nothing for this long, so perhaps its path is dead and it doesn't know. */
export const PEER_SILENT_MS = 1_000;
/** Responder: an initiator that has a path is heard this often at least, lost packets allowed for. */
export const HEARD_EVERY_MS: number = KEEPALIVE_MS + 10_000;

/** How long the answer to a hello may take. */
export function confirmMs({ roundTripMs }: Subflow, afterNews: boolean): number {
  return Math.max(afterNews ? CONFIRM_AFTER_NEWS_MS : CONFIRM_MS, CONFIRM_ROUND_TRIPS * roundTripMs);
}

/** How long a responder that last heard its peer `silentMs` ago waits for a resume before it believes it to be gone. */
export function goneMs(how: 'closed' | 'reset', silentMs: number): number {
  const soon = how === 'closed' || silentMs < HEARD_JUST_NOW_MS;
  return soon ? CLOSED_MEANS_GONE_MS : PATIENT_GONE_MS;
}
