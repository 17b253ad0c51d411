/**
 * Stream driver: one {@link StreamSession} on real sockets, as a {@link MobileStream}. After every input it drains
 * transmits, events and data, then re-arms its one alarm. Where new subflows come from is the endpoint's business.
 */
import type { TransportAddress } from '../../core/address.ts';
import type { Instant } from '../../core/time.ts';
import { Alarm, monotonicNow } from '../../host/clock.ts';
import { currentTurn } from '../../host/event-loop-turn.ts';
import { type TcpConnection, UNHEARD } from '../../host/tcp-connection.ts';
import type { SessionErrorCode, SessionEvent, StreamSession, SubflowEnd, VerifiedHello } from '../stream-session.ts';
import type { DriverHost } from './driver-host.ts';
import type { MobileStream, OpenRequest, PathInfo, SessionLifeEventName, StreamOwner } from './mobile-stream.ts';
import type { Peer } from './peer.ts';
import { type Callback, PendingCalls } from './pending-calls.ts';
import { isPathError, sessionError } from './session-error.ts';
import { StrandedConnections } from './stranded-connections.ts';

export interface StreamDriverInit {
  readonly id: string;
  readonly session: StreamSession;
  readonly peer: Peer;
  /** Initiator: what was asked for. */
  readonly request?: OpenRequest;
  readonly local: TransportAddress;
  readonly remote: TransportAddress;
  readonly host: DriverHost;
}

interface ConnectedSubflow {
  readonly id: number;
  readonly connection: TcpConnection;
  readonly path: PathInfo;
}

/** Unacknowledged bytes at the end of a stream that fit into the first flight of a new connection. */
const SMALL_END_BYTES = 14 << 10;

/** Records enough to keep the kernel busy while the next ones are made. */
const BATCH_BYTES = 128 << 10;
const NOTHING: readonly Uint8Array[] = [];

export class StreamDriver implements MobileStream {
  readonly id: string;
  readonly local: TransportAddress;
  readonly remote: TransportAddress;
  readonly session: StreamSession;
  /** The process at the other end; another one after an OPEN that its successor answered. */
  peer: Peer;
  /** Initiator: it was contacted once more, since it knew nothing of our key. */
  contactedAnew = false;
  /** Initiator, until the peer has accepted: what was asked for, to ask again. */
  request: OpenRequest | undefined;
  owner: StreamOwner | undefined;
  readonly #host: DriverHost;
  readonly #alarm: Alarm;
  readonly #subflows = new Map<number, ConnectedSubflow>();
  readonly #stranded: StrandedConnections = new StrandedConnections();
  #lastPath: PathInfo | undefined;
  #beginning: (() => void) | undefined;
  #lastSubflowId = 0;
  readonly #writers: PendingCalls = new PendingCalls();
  readonly #enders: PendingCalls = new PendingCalls();
  /** Too much is on its way to call it finished before the peer has it. */
  #endsInBulk = false;
  #wantsData = false;
  #endTold = false;
  #dataTurn = 0;
  #ended = false;
  #endError: SessionErrorCode | undefined;
  #closeTold = false;
  #ownerGone = false;
  #referenced = true;
  #pumping = false;
  #pumpScheduled = false;
  #holder: 'none' | 'connection' | 'alarm' | undefined;

  constructor({ id, session, peer, request, local, remote, host }: StreamDriverInit) {
    this.id = id;
    this.session = session;
    this.peer = peer;
    this.request = request;
    this.local = local;
    this.remote = remote;
    this.#host = host;
    this.#alarm = new Alarm((now) => {
      this.session.handleTimeout(now);
      this.#pump(now);
    });
  }

  // ---- MobileStream ------------------------------------------------------------------------------------------------

  get path(): PathInfo | undefined {
    if (this.#beginning !== undefined) return this.#lastPath;
    const { currentSubflow } = this.session;
    return currentSubflow === undefined ? undefined : this.#subflows.get(currentSubflow)?.path;
  }

  get moves(): number {
    return this.session.moves;
  }

  write(chunks: readonly Uint8Array[], callback: Callback): void {
    if (this.#ended) return callback(sessionError(this.#endError ?? 'EPIPE', 'write'));
    const { session } = this;
    session.write(chunks);
    this.#transmit(monotonicNow());
    if (session.state === 'ended') this.#schedulePump();
    if (session.hasRoom && !this.#writers.waiting) callback();
    else this.#writers.add(callback);
    this.#settle();
  }

  end(callback: Callback): void {
    this.#enders.add(callback);
    if (!this.#ended) {
      this.#endsInBulk = this.session.unacknowledged > SMALL_END_BYTES;
      this.session.end();
      this.#transmit(monotonicNow());
    }
    this.#schedulePump();
  }

  read(): void {
    if (this.#wantsData) return;
    this.#wantsData = true;
    if (!this.#pumping) this.#schedulePump();
  }

  close(): void {
    this.#leave();
    this.session.close(monotonicNow());
    this.#schedulePump();
  }

  reset(): void {
    this.#leave();
    this.session.reset(monotonicNow());
    this.#schedulePump();
  }

  /** As `reset()`, but not by the owner, who has to hear of it. */
  abort(): void {
    const { owner } = this;
    this.reset();
    process.nextTick(() => owner?.onClose(sessionError('ECONNRESET', 'read')));
  }

  /** The process exits: what the kernel would do for its sockets. */
  closeAtExit(): void {
    this.#leave();
    const now = monotonicNow();
    this.session.close(now);
    this.#transmit(now);
  }

  ref(): void {
    this.#referenced = true;
    this.#applyReference();
  }

  unref(): void {
    this.#referenced = false;
    this.#applyReference();
  }

  // ---- the endpoint's side -----------------------------------------------------------------------------------------

  attachDialed(connection: TcpConnection, roundTripMs: number): void {
    const now = monotonicNow();
    const id = this.#adopt(connection);
    this.session.attachDialed(now, id, roundTripMs);
    this.#pump(now);
  }

  /** The first subflow: OPEN waits a moment for what the application writes when it is connected, and takes it along. */
  begin(connection: TcpConnection, roundTripMs: number): void {
    const id = this.#adopt(connection);
    this.#beginning = () => this.session.attachDialed(monotonicNow(), id, roundTripMs);
    this.#schedulePump();
  }

  #begin(): void {
    const begin = this.#beginning;
    this.#beginning = undefined;
    begin?.();
  }

  /** `rest`: bytes that came behind the hello. Returns false for an old hello; then the connection is left alone. */
  attachAccepted(connection: TcpConnection, hello: VerifiedHello, rest: Buffer): boolean {
    const now = monotonicNow();
    if (!this.session.attachAccepted(now, this.#lastSubflowId + 1, hello)) return false;
    const id = this.#adopt(connection);
    if (rest.length > 0) this.session.handleBytes(now, id, rest);
    this.#pump(now);
    return true;
  }

  /** The owner has been set: what came before it was there. */
  tellOwner(): void {
    this.#pump(monotonicNow());
  }

  dialFailed(failure: 'refused' | 'unreachable'): void {
    const now = monotonicNow();
    this.session.handleDialFailure(now, failure);
    this.#pump(now);
  }

  /** The local addresses in `lost` are gone; something else may have changed too. */
  networkChanged(lost: ReadonlySet<string>): void {
    this.#begin();
    const now = monotonicNow();
    let dropped = false;
    for (const { id, connection, path } of [...this.#subflows.values()]) {
      if (!lost.has(path.local.ip)) continue;
      dropped = true;
      this.#drop(id);
      this.#stranded.add(connection);
      this.session.handleSubflowEnd(now, id, 'lost');
    }
    // An initiator that lost its subflow has asked for a dial by now.
    const dials = this.session.role === 'initiator' && dropped && this.session.currentSubflow === undefined;
    if (!dials) this.session.handleNetworkChange(now);
    this.#pump(now);
  }

  /** Does something with the session, then what follows from it. */
  update(change: (session: StreamSession, now: Instant) => void): void {
    const now = monotonicNow();
    change(this.session, now);
    this.#pump(now);
  }

  // ---- subflows ----------------------------------------------------------------------------------------------------

  #adopt(connection: TcpConnection): number {
    this.#lastSubflowId += 1;
    const id = this.#lastSubflowId;
    const path = { local: connection.local, remote: connection.remote };
    this.#lastPath = path;
    this.#subflows.set(id, { id, connection, path });
    connection.handler = {
      onBytes: (bytes) => {
        const now = monotonicNow();
        this.session.handleBytes(now, id, bytes);
        this.#pump(now);
        this.session.keepUnread(bytes);
      },
      onDrain: () => {
        this.session.setBlocked(id, false);
        this.#pump(monotonicNow());
      },
      onEnd: () => this.#subflowEnded(id, 'closed'),
      onError: (error) => this.#subflowEnded(id, isPathError(error) ? 'lost' : 'reset'),
    };
    this.#holder = undefined;
    this.#applyReference();
    return id;
  }

  #subflowEnded(id: number, how: SubflowEnd): void {
    this.#begin();
    const connection = this.#drop(id);
    if (connection === undefined) return;
    connection.close();
    const now = monotonicNow();
    this.session.handleSubflowEnd(now, id, how);
    this.#pump(now);
  }

  #drop(id: number): TcpConnection | undefined {
    const subflow = this.#subflows.get(id);
    if (subflow === undefined) return undefined;
    this.#subflows.delete(id);
    this.#lastPath = subflow.path;
    subflow.connection.handler = UNHEARD; // it is on its way out: what it still has to say concerns nobody
    return subflow.connection;
  }

  // ---- the loop ----------------------------------------------------------------------------------------------------

  #schedulePump(): void {
    if (this.#pumpScheduled) return;
    this.#pumpScheduled = true;
    process.nextTick(() => {
      this.#pumpScheduled = false;
      this.#pump(monotonicNow());
    });
  }

  #pump(now: Instant): void {
    if (this.#pumping) return;
    this.#pumping = true;
    try {
      this.#transmit(now);
      this.#releaseEnd();
      this.#deliver(now);
      this.#transmit(now);
      this.#handleEvents();
      this.#releaseWriters();
      this.#tellClose();
    } finally {
      this.#pumping = false;
    }
    this.#settle();
  }

  #transmit(now: Instant): void {
    if (this.#beginning !== undefined) this.#begin();
    let parts: readonly Uint8Array[] = NOTHING;
    let bytes = 0;
    // Of the records, since behind the last one the session may have no subflow any more.
    let subflow = 0;
    // What goes out together goes in one call to the kernel.
    for (let next = this.session.pollTransmit(now); next !== undefined; next = this.session.pollTransmit(now)) {
      parts = bytes === 0 ? next.bytes : [...parts, ...next.bytes];
      for (const part of next.bytes) bytes += part.length;
      subflow = next.subflow;
      if (bytes < BATCH_BYTES) continue;
      this.#send(subflow, parts);
      bytes = 0;
    }
    if (bytes > 0) this.#send(subflow, parts);
  }

  #send(subflow: number, parts: readonly Uint8Array[]): void {
    const connection = this.#subflows.get(subflow)?.connection;
    if (connection === undefined) return;
    connection.write(parts);
    if (connection.blocked) this.session.setBlocked(subflow, true);
  }

  get #currentConnection(): TcpConnection | undefined {
    const { currentSubflow } = this.session;
    return currentSubflow === undefined ? undefined : this.#subflows.get(currentSubflow)?.connection;
  }

  #deliver(now: Instant): void {
    const { owner, session } = this;
    if (owner === undefined || this.#ownerGone) return;
    while (this.#wantsData && this.owner === owner) {
      const chunk = session.read(now);
      if (chunk === undefined) break;
      this.#wantsData = owner.onData(chunk);
      this.#dataTurn = currentTurn();
    }
    if (session.readEnded && !this.#endTold && !this.#ownerGone && !this.#waitsForTurn()) {
      this.#endTold = true;
      owner.onEnd();
    }
  }

  /**
   * What the owner does about data comes before the end does: as from the kernel, where each read is an event of its
   * own and everything that follows from it happens first.
   */
  #waitsForTurn(): boolean {
    if (this.#dataTurn !== currentTurn()) return false;
    setImmediate(() => this.#pump(monotonicNow()));
    return true;
  }

  #handleEvents(): void {
    for (let event = this.session.pollEvent(); event !== undefined; event = this.session.pollEvent()) {
      this.#handleEvent(event);
    }
  }

  #handleEvent(event: SessionEvent): void {
    switch (event.type) {
      case 'dial':
        this.#host.dial(this);
        break;
      case 'close-subflow':
        this.#closeSubflow(event.subflow, event.graceful);
        break;
      case 'opened':
        this.request = undefined;
        this.#host.opened(this);
        break;
      case 'suspended':
        this.#life('suspend');
        break;
      case 'moved':
        this.#stranded.close();
        if (event.wasSuspended) this.#life('resume', { gapMs: event.gapMs });
        this.#life('move', { gapMs: event.gapMs });
        break;
      case 'refused':
        this.#host.refused(this, event.refuse);
        break;
      case 'peer-silent':
        this.#host.peerSilent(this);
        break;
      case 'whereabouts':
        this.peer.handleWhereabouts(event.whereabouts);
        break;
      case 'ended':
        this.#stranded.close();
        this.#ended = true;
        this.#endError = event.error;
        this.#life('close', event.error === undefined ? {} : { error: event.error });
        this.#host.ended(this);
        break;
      default:
        event satisfies never;
    }
  }

  #closeSubflow(id: number, graceful: boolean): void {
    const connection = this.#drop(id);
    if (connection === undefined) return;
    if (!graceful) return this.#stranded.add(connection);
    connection.handler = {
      ...UNHEARD,
      onEnd: () => {
        connection.close();
        this.#host.parted(this);
      },
    };
    connection.end();
    connection.unref();
  }

  #releaseWriters(): void {
    if (!this.#writers.waiting || (!this.#ended && !this.session.hasRoom)) return;
    this.#writers.release(this.#ended ? sessionError(this.#endError ?? 'EPIPE', 'write') : null);
  }

  /**
   * A process may exit when it hears that its stream is finished. Then its kernel delivers what it has, but only until
   * it meets a record from the peer, which nobody reads any more: enough for a little, too early for much.
   */
  #releaseEnd(): void {
    if (!this.#enders.waiting || !this.session.endSent) return;
    if (this.#endsInBulk && this.session.delivering) return;
    if (this.#currentConnection?.blocked !== true) this.#enders.release();
  }

  /** After an end in order the owner hears of it once it has read everything. */
  #tellClose(): void {
    if (!this.#ended || this.#closeTold || this.#ownerGone || this.owner === undefined) return;
    if (this.#endError === undefined && !this.#endTold) return;
    if (this.#waitsForTurn()) return;
    this.#closeTold = true;
    this.owner.onClose(this.#endError === undefined ? undefined : sessionError(this.#endError, 'read'));
  }

  #settle(): void {
    this.#alarm.set(this.session.pollTimeout());
    this.#applyReference();
  }

  #leave(): void {
    this.#begin();
    this.#ownerGone = true;
    this.owner = undefined;
    this.#writers.forget();
    this.#enders.forget();
  }

  /**
   * As with a kernel socket, reading keeps the process alive and a socket that neither reads nor writes doesn't; what
   * was written does until it is delivered, because no kernel would do that for us.
   */
  #applyReference(): void {
    const reading = this.#wantsData && !this.#endTold && !this.#ownerGone;
    const alive = !this.#ended && this.#referenced && (reading || this.session.delivering);
    const holder = !alive ? 'none' : this.#subflows.size > 0 ? 'connection' : 'alarm';
    if (holder === this.#holder) return;
    this.#holder = holder;
    if (holder === 'alarm') this.#alarm.ref();
    else this.#alarm.unref();
    for (const { connection } of this.#subflows.values()) {
      if (holder === 'connection') connection.ref();
      else connection.unref();
    }
  }

  #life(name: SessionLifeEventName, more: { gapMs?: number; error?: string } = {}): void {
    const path = this.path ?? this.#lastPath ?? { local: this.local, remote: this.remote };
    this.#host.life({ name, session: this.id, role: this.session.role, ...path, ...more });
  }
}
