/**
 * One stream session on virtual connections with an application on top, which writes and reads as its plan says and
 * checks every byte that it gets. The driver part does what `src/l4mob/io/stream-driver.ts` does.
 */
import type { StreamLimits } from '../../src/l4mob/limits.ts';
import type {
  SessionErrorCode,
  SessionEvent,
  StreamSession,
  SubflowEnd,
  VerifiedHello,
} from '../../src/l4mob/stream-session.ts';
import type { Whereabouts } from '../../src/l4mob/wire/update.ts';
import type { ConnectionEnd } from './connection.ts';
import type { Appointment, VirtualTime } from './virtual-time.ts';

export interface Plan {
  /** Bytes to send. */
  readonly bytes: number;
  readonly writeBytes: number;
  /** Between writes. */
  readonly pauseMs: number;
  /** Doesn't read before. */
  readonly readFrom: number;
  /** Pieces read at a time, and the pause between: slow readers. */
  readonly readPieces: number;
  readonly readPauseMs: number;
  /** Ends its stream when all is written; else only when the peer's has ended. */
  readonly endsFirst: boolean;
  /** Writes nothing and doesn't end: the scenario does. */
  readonly manual: boolean;
}

export const PLAIN_PLAN: Plan = {
  bytes: 20_000,
  writeBytes: 1_000,
  pauseMs: 0,
  readFrom: 0,
  readPieces: 1_000,
  readPauseMs: 0,
  endsFirst: true,
  manual: false,
};

export interface StreamHost {
  dial(stream: SimStream): void;
  cancelDial(stream: SimStream): void;
  peerSilent(stream: SimStream): void;
  ended(stream: SimStream): void;
  refused(stream: SimStream): void;
  whereabouts(whereabouts: Whereabouts): void;
}

/** What stands at `offset` of the stream that `role` sends. */
export function byteAt(role: 'initiator' | 'responder', offset: number): number {
  return ((offset * 31) ^ (offset >> 7) ^ (role === 'initiator' ? 0x5a : 0xc3)) & 0xff;
}

export class SimStream {
  readonly name: string;
  readonly session: StreamSession;
  readonly plan: Plan;
  readonly events: SessionEvent[] = [];
  written = 0;
  readBytes = 0;
  peerEnded = false;
  ended = false;
  error: SessionErrorCode | undefined;
  mostUnacknowledged = 0;
  mostUnread = 0;
  readonly #time: VirtualTime;
  readonly #host: StreamHost;
  readonly #limits: StreamLimits;
  readonly #ends = new Map<number, ConnectionEnd>();
  #lastId = 0;
  #alarm: Appointment | undefined;
  #alarmAt: number | undefined;
  #writeAlarm: Appointment | undefined;
  #readAlarm: Appointment | undefined;
  #writeAt: number;
  #readAt: number;
  #endCalled = false;
  #alarmedAt = 0;
  #alarmsInARow = 0;
  #pumping = false;

  constructor(
    name: string,
    time: VirtualTime,
    session: StreamSession,
    plan: Plan,
    limits: StreamLimits,
    host: StreamHost,
  ) {
    this.name = name;
    this.#time = time;
    this.session = session;
    this.plan = plan;
    this.#limits = limits;
    this.#host = host;
    this.#writeAt = time.now;
    this.#readAt = plan.readFrom;
  }

  /** Whether both streams arrived whole here and there is nothing left to do. */
  get complete(): boolean {
    return this.ended && this.error === undefined && this.peerEnded;
  }

  /** Whether nothing more will happen: ended, and everything that came was read. */
  get over(): boolean {
    return this.ended && (this.error !== undefined || this.plan.manual || this.peerEnded);
  }

  get currentEnd(): ConnectionEnd | undefined {
    const id = this.session.currentSubflow;
    return id === undefined ? undefined : this.#ends.get(id);
  }

  get openEnds(): number {
    return this.#ends.size;
  }

  attachDialed(end: ConnectionEnd, roundTripMs: number): void {
    this.session.attachDialed(this.#time.now, this.#adopt(end), roundTripMs);
    this.pump();
  }

  attachAccepted(end: ConnectionEnd, hello: VerifiedHello, rest: Buffer): boolean {
    const now = this.#time.now;
    if (!this.session.attachAccepted(now, this.#lastId + 1, hello)) return false;
    const id = this.#adopt(end);
    if (rest.length > 0) this.session.handleBytes(now, id, rest);
    this.pump();
    return true;
  }

  dialFailed(failure: 'refused' | 'unreachable'): void {
    this.session.handleDialFailure(this.#time.now, failure);
    this.pump();
  }

  addressesChanged(lost: ReadonlySet<string>): void {
    for (const [id, end] of [...this.#ends]) {
      if (!lost.has(end.local.ip)) continue;
      this.#ends.delete(id);
      end.destroy();
      this.session.handleSubflowEnd(this.#time.now, id, 'lost');
    }
    this.session.handleNetworkChange(this.#time.now);
    this.pump();
  }

  write(bytes: number): void {
    const { role } = this.session;
    const chunk = new Uint8Array(bytes);
    for (let i = 0; i < bytes; i++) chunk[i] = byteAt(role, this.written + i);
    this.session.write([chunk]);
    chunk.fill(0); // the application reuses its memory
    this.written += bytes;
  }

  stopReading(): void {
    this.#readAt = Number.POSITIVE_INFINITY;
  }

  pump(): void {
    if (this.#pumping) return;
    this.#pumping = true;
    const now = this.#time.now;
    this.#work(now);
    this.#transmit(now);
    this.#read(now);
    this.#transmit(now);
    this.#handleEvents();
    this.#pumping = false;
    this.#check();
    this.#arm();
  }

  // ---- the application -----------------------------------------------------------------------------------------------

  #work(now: number): void {
    const { plan, session } = this;
    if (this.plan.manual || this.ended) return;
    while (this.written < plan.bytes && session.hasRoom && now >= this.#writeAt) {
      this.write(Math.min(plan.writeBytes, plan.bytes - this.written));
      this.#writeAt = now + plan.pauseMs;
    }
    if (this.written < plan.bytes && session.hasRoom && this.#writeAlarm === undefined) {
      this.#writeAlarm = this.#time.at(this.#writeAt, () => {
        this.#writeAlarm = undefined;
        this.pump();
      });
    }
    if (this.written >= plan.bytes && !this.#endCalled && (plan.endsFirst || this.peerEnded)) {
      this.#endCalled = true;
      session.end();
    }
  }

  #read(now: number): void {
    const peer = this.session.role === 'initiator' ? 'responder' : 'initiator';
    for (let pieces = 0; now >= this.#readAt; pieces++) {
      if (pieces === this.plan.readPieces) {
        this.#readAt = now + this.plan.readPauseMs;
        break;
      }
      const piece = this.session.read(now);
      if (piece === undefined) break;
      for (const byte of piece) {
        if (byte !== byteAt(peer, this.readBytes)) throw new Error(`${this.name}: wrong byte at ${this.readBytes}`);
        this.readBytes += 1;
      }
    }
    if (this.session.readEnded) this.peerEnded = true;
    if (
      now < this.#readAt &&
      this.#readAt < Number.POSITIVE_INFINITY &&
      this.session.unread > 0 &&
      this.#readAlarm === undefined
    ) {
      this.#readAlarm = this.#time.at(this.#readAt, () => {
        this.#readAlarm = undefined;
        this.pump();
      });
    }
    this.#work(now);
  }

  // ---- the driver ----------------------------------------------------------------------------------------------------

  #adopt(end: ConnectionEnd): number {
    const id = ++this.#lastId;
    this.#ends.set(id, end);
    end.onBytes = (chunk) => {
      this.session.handleBytes(this.#time.now, id, chunk);
      this.pump();
    };
    end.onEnd = (how) => this.#endOf(id, how);
    end.onDrain = () => {
      this.session.setBlocked(id, false);
      this.pump();
    };
    return id;
  }

  #endOf(id: number, how: SubflowEnd): void {
    const end = this.#ends.get(id);
    if (end === undefined) return;
    this.#ends.delete(id);
    end.end();
    this.session.handleSubflowEnd(this.#time.now, id, how);
    this.pump();
  }

  #transmit(now: number): void {
    for (let out = this.session.pollTransmit(now); out !== undefined; out = this.session.pollTransmit(now)) {
      const end = this.#ends.get(out.subflow);
      if (end?.write(out.bytes) === false) this.session.setBlocked(out.subflow, true);
    }
  }

  #handleEvents(): void {
    for (let event = this.session.pollEvent(); event !== undefined; event = this.session.pollEvent()) {
      this.events.push(event);
      this.#time.trace(`${this.name} ${eventText(event)}`);
      if (this.ended && event.type !== 'close-subflow') throw new Error(`${this.name}: ${event.type} after the end`);
      switch (event.type) {
        case 'dial':
          this.#host.dial(this);
          break;
        case 'close-subflow': {
          const end = this.#ends.get(event.subflow);
          this.#ends.delete(event.subflow);
          if (event.graceful) end?.end();
          else end?.destroy();
          break;
        }
        case 'peer-silent':
          this.#host.peerSilent(this);
          break;
        case 'whereabouts':
          this.#host.whereabouts(event.whereabouts);
          break;
        case 'refused':
          this.#host.refused(this);
          break;
        case 'ended':
          this.ended = true;
          this.error = event.error;
          this.#host.cancelDial(this);
          this.#host.ended(this);
          break;
        default:
          break;
      }
    }
  }

  #check(): void {
    const { session } = this;
    this.mostUnacknowledged = Math.max(this.mostUnacknowledged, session.unacknowledged);
    this.mostUnread = Math.max(this.mostUnread, session.unread);
    if (session.unacknowledged > this.#limits.replayLimitBytes + this.plan.writeBytes) {
      throw new Error(`${this.name}: ${session.unacknowledged} bytes kept`);
    }
    if (session.unread > Math.max(this.#limits.maxWindowBytes, 256 << 10)) {
      throw new Error(`${this.name}: ${session.unread} bytes in the inbox`);
    }
    if (this.ended && session.pollTimeout() !== undefined) throw new Error(`${this.name}: a timer after the end`);
    if (this.#ends.size > 2) throw new Error(`${this.name}: ${this.#ends.size} subflows`);
  }

  #arm(): void {
    const at = this.session.pollTimeout();
    if (at === this.#alarmAt && this.#alarm !== undefined) return;
    this.#alarm?.cancel();
    this.#alarm = undefined;
    this.#alarmAt = at;
    if (at === undefined) return;
    this.#alarm = this.#time.at(at, () => {
      this.#alarm = undefined;
      this.#alarmsInARow = this.#alarmedAt === this.#time.now ? this.#alarmsInARow + 1 : 0;
      this.#alarmedAt = this.#time.now;
      if (this.#alarmsInARow > 20) throw new Error(`${this.name}: timers run in a circle`);
      this.session.handleTimeout(this.#time.now);
      this.pump();
    });
  }
}

function eventText(event: SessionEvent): string {
  switch (event.type) {
    case 'moved':
      return `moved, gap ${event.gapMs.toFixed(1)} ms`;
    case 'ended':
      return `ended ${event.error ?? 'in order'}`;
    case 'close-subflow':
      return `close-subflow ${event.subflow}${event.graceful ? '' : ' at once'}`;
    default:
      return event.type;
  }
}
