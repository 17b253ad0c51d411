/**
 * The face of a stream session to the socket layer: a reliable byte stream that outlives addresses, and the calls that
 * open one. No node stream semantics here: `src/socket` puts those on top.
 */
import type { TransportAddress } from '../../core/address.ts';
import type { PacketCounters } from './packet-counters.ts';

/** What a stream tells its owner. Calls never come from inside a call of the owner's into the stream. */
export interface StreamOwner {
  /** Bytes in order, in memory that is lent until this returns. Returns false to stop until `read()` is called. */
  onData(chunk: Buffer): boolean;
  /** The peer has finished sending; comes after the last `onData`. */
  onEnd(): void;
  /**
   * The last call. `error` carries node's code and syscall: ECONNRESET (peer reset or gone), ETIMEDOUT (no path for
   * `sessionTimeoutMs`), ECONNREFUSED (the peer has no such listener any more), ECONNABORTED.
   */
  onClose(error: NodeJS.ErrnoException | undefined): void;
}

/** Which way the packets go now. */
export interface PathInfo {
  readonly local: TransportAddress;
  readonly remote: TransportAddress;
}

/** One session's stream. Created by {@link MobilityEndpoint}; the owner is set before anything is delivered. */
export interface MobileStream {
  /** For humans and logs: unique among the sessions of this process. */
  readonly id: string;
  /** As the application sees them, fixed when the session opened. */
  readonly local: TransportAddress;
  readonly remote: TransportAddress;
  /** The way taken now; undefined while suspended. */
  readonly path: PathInfo | undefined;
  readonly moves: number;
  owner: StreamOwner | undefined;

  /**
   * Takes the bytes (copied before the call returns) and calls back when more may follow: at once while there is
   * room, later under back-pressure or in an outage, with an error when the session ends first.
   */
  write(chunks: readonly Uint8Array[], callback: (error?: Error | null) => void): void;
  /**
   * No more bytes from us; the callback comes when nothing of them would be lost with this process: when the kernel has
   * the end of a short stream, when the peer has acknowledged that of a long one.
   */
  end(callback: (error?: Error | null) => void): void;
  /** Asks for more `onData`; cheap and idempotent. Until the first call nothing is delivered. */
  read(): void;
  /** The owner is done (destroy). What was written is still delivered in the background; nothing is read any more. */
  close(): void;
  /** As `close()`, but at once and with a reset: the peer's application sees ECONNRESET. */
  reset(): void;
  /** Whether the session keeps the process alive. Referenced at first. */
  ref(): void;
  unref(): void;
}

export interface OpenRequest {
  /** Destinations in order of preference: literal addresses, as resolution gave them. */
  readonly addresses: readonly string[];
  readonly port: number;
  /** The name that the application asked for, for re-resolution after both have moved. */
  readonly host?: string;
  /** A configured peer's session port: L4_INIT and L4_OFFER go there in-band, and no UDP is needed. */
  readonly sessionPort?: number;
  readonly localAddress?: string;
  /** The port that the application wants to be known by: the initiator port of the pair, whatever subflows have. */
  readonly localPort?: number;
}

/** Why a destination is to be reached without mobility. */
export type PlainReason =
  | 'unaware' // no L4_OFFER came, or the port refused the L4_INIT
  | 'session-port-unreachable'
  | 'refused' // the peer's policy, or its listener is gone
  | 'handshake-failed'
  | 'limit'; // one of our own limits: see docs/architecture.md

/** Answers to an {@link OpenRequest}. Nothing comes after `onOpen` or `cancel()`. */
export interface OpenHandlers {
  /** A peer that speaks the protocol answered: a plain attempt still under way should be withdrawn now. */
  onOffer(): void;
  onOpen(stream: MobileStream): void;
  /** No session will come of it. May follow `onOffer`. */
  onPlain(reason: PlainReason): void;
}

export interface PendingOpen {
  cancel(): void;
}

/** What is known of a destination before asking. */
export type Verdict = 'unknown' | 'plain' | 'aware';

export interface ListenRequest {
  /** The address that the application's listener is bound to, as `server.address()` tells. */
  readonly address: string;
  readonly port: number;
  /** Bound to `::` without IPv4. */
  readonly ipv6Only?: boolean;
  /** Whether sessions from that address are allowed; all are where it is left out. */
  accepts?(ip: string): boolean;
  /** Takes over a new session's stream; it sets `stream.owner`, or calls `stream.reset()` to turn it away. */
  onSession(stream: MobileStream): void;
}

export interface ListenHandle {
  /** No new sessions; those that run go on. */
  close(): void;
}

/** A running session for people and programs that look. */
export interface SessionInfo {
  readonly id: string;
  /** 'udp': a datagram flow. */
  readonly transport: 'tcp' | 'udp';
  readonly role: 'initiator' | 'responder';
  readonly state: 'opening' | 'open' | 'suspended' | 'closing';
  readonly local: TransportAddress;
  readonly remote: TransportAddress;
  readonly path: PathInfo | undefined;
  readonly suite: string;
  readonly moves: number;
  readonly bytesSent: number;
  readonly bytesReceived: number;
  /** Bytes kept for sending again; none of a datagram flow. */
  readonly unacknowledged: number;
}

export type SessionLifeEventName = 'open' | 'move' | 'suspend' | 'resume' | 'close';

/** A turn in a session's life, for diagnostics: what `diagnostics_channel` and the event log publish. */
export interface SessionLifeEvent {
  readonly name: SessionLifeEventName;
  readonly session: string;
  readonly role: 'initiator' | 'responder';
  /** The path taken from now on; at 'suspend' and 'close' the last one. */
  readonly local: TransportAddress;
  readonly remote: TransportAddress;
  /** 'resume': how long no path worked, in milliseconds. */
  readonly gapMs?: number;
  /** 'close': why, where it was not in order. */
  readonly error?: string;
}

/**
 * What was answered and what was turned away since the start, for those who look: attacks, accidents and strangers.
 * Every count only rises.
 */
export interface EndpointCounters extends PacketCounters {
  /** L4_INITs that came, for streams and for datagram flows, over UDP or in-band, and those of them that led to an L4_OFFER with keys. */
  readonly inits: number;
  readonly offers: number;
  /** L4_INITs that were no L4_INITs. */
  readonly malformed: number;
  /** L4_INITs answered by the group or the ports to ask with instead. */
  readonly askedAgain: number;
  /** L4_INITs answered by a demand to show that their source is theirs. */
  readonly cookiesDemanded: number;
  /** L4_INITs refused by policy, by a limit, or for want of a common suite or group. */
  readonly refused: number;
  /** Connections to a session port that began with neither OPEN, RESUME nor L4_INIT, or ended within one. */
  readonly malformedHellos: number;
  /** OPENs and RESUMEs of associations and sessions that are not known (any more). */
  readonly unknownHellos: number;
  /** OPENs and RESUMEs with a wrong MAC. */
  readonly forgedHellos: number;
  /** Genuine ones whose state sequence is not newer than the one held. */
  readonly staleHellos: number;
  /** Genuine OPENs that had been used before. */
  readonly replayedOpens: number;
  /** Genuine OPENs turned away: listener gone, policy, port pair taken, a limit. */
  readonly refusedOpens: number;
  /** L4_UPDATEs that were malformed, forged, of no known association, or not newer than the last. */
  readonly forgedUpdates: number;
  /** Answers to our own L4_INITs that were malformed, of another attempt, or chose what was not proposed. */
  readonly rejectedOffers: number;
  /** Records that failed their check and ended their subflow. */
  readonly badRecords: number;
}

/** The process's one mobility endpoint, as the socket layer uses it. */
export interface MobilityEndpoint {
  /** Synchronous and cheap: decides whether a connect has to wait for anything. */
  verdict(address: string, port: number): Verdict;
  /** The plain connect won, or nothing answered: remember, for `ttlMs` at most. */
  rememberPlain(address: string, port: number, ttlMs?: number): void;
  open(request: OpenRequest, handlers: OpenHandlers): PendingOpen;
  listen(request: ListenRequest): ListenHandle;
  sessions(): SessionInfo[];
  counters(): EndpointCounters;
  /** The application wants to bind this UDP port itself: a companion socket of ours on it makes way at once. */
  yieldUdpPort(port: number): void;
  /** Ends every session with a reset and frees all ports. */
  close(): void;
}
