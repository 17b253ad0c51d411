/**
 * Datagram flow: UDP between two processes that outlives the addresses it began with. Each datagram of the application
 * carries the extended L4 header and a MAC, so both sides know the flow by its key and not by an address (paper 5,
 * section 3).
 *
 *     opening --first packet of the responder / first packet of the initiator that is no OPEN--> confirmed
 *     opening, confirmed --close, CLOSE, time-outs--> closed, saying so until it is answered --linger--> ended
 *
 * Data goes out as {@link DatagramFlow.send} returns it and comes in as {@link DatagramFlow.handleDatagram} returns
 * it; none is ever queued. What is lost stays lost and what overtakes is early, as UDP is. The flow's own few packets
 * are polled. The initiator's data may go with its first packet, before anything was heard.
 *
 * Not done here on purpose: congestion control (the application's, as ever with UDP), path MTU, and the choice of the
 * local address (the routing table's). Sans-IO; docs/protocol.md, "Datagram flows".
 */
import type { TransportAddress } from '../../core/address.ts';
import { earliest, type Instant } from '../../core/time.ts';
import { MAX_ADDRESSES } from '../limits.ts';
import type { SessionRole } from '../session-event.ts';
import { TAG_BYTES } from '../suite.ts';
import {
  CHALLENGE_BYTES,
  DATAGRAM_HEADER_BYTES,
  DATAGRAM_TYPE,
  type FlowId,
  MAX_DATAGRAM_OVERHEAD,
} from '../wire/datagram.ts';
import { encodeWhereabouts } from '../wire/update.ts';
import type { ChallengeTokens } from './challenge-tokens.ts';
import { FlowChannel, type GenuinePacket } from './flow-channel.ts';
import type { DatagramTransmit, FlowCounters, FlowEnd, FlowEvent } from './flow-event.ts';
import type { FlowIdentity } from './flow-identity.ts';
import { FlowOutput } from './flow-output.ts';
import {
  ACCEPT_TIMEOUT_MS,
  ANSWER_AGAIN_MS,
  CLOSE_STEPS,
  DEFAULT_FLOW_TIMING,
  type FlowTiming,
  LINGER_MS,
  OPEN_STEPS,
  OPEN_TIMEOUT_MS,
} from './flow-timing.ts';
import { Ladder } from './ladder.ts';
import { PathSet } from './path-set.ts';
import { PeerLocator } from './peer-locator.ts';
import { SilenceWatch } from './silence-watch.ts';

export interface DatagramFlowInit {
  readonly identity: FlowIdentity;
  /** Initiator: where the L4_OFFER came from. Responder: the source of the OPEN. */
  readonly remote: TransportAddress;
  readonly tokens: ChallengeTokens;
  readonly counters: FlowCounters;
  readonly now: Instant;
  readonly timing?: FlowTiming | undefined;
}

/** Where a flow's socket can be reached: its own addresses, not what a NAT makes of them. */
export interface OwnAddresses {
  readonly port: number;
  readonly addresses: readonly string[];
}

export type FlowPhase = 'opening' | 'confirmed' | 'closed' | 'ended';

const NO_PAYLOAD = new Uint8Array(0);

export class DatagramFlow {
  readonly role: SessionRole;
  readonly #channel: FlowChannel;
  readonly #counters: FlowCounters;
  readonly #timing: FlowTiming;
  readonly #paths: PathSet;
  readonly #output: FlowOutput;
  readonly #locator: PeerLocator;
  readonly #silence: SilenceWatch = new SilenceWatch();
  #phase: FlowPhase = 'opening';
  #heardAt: Instant;
  /** Opening: given up then. Closed: ended then. */
  #phaseEndsAt: Instant;
  /** Initiator, until confirmed: when to send OPEN. Closed: when to send CLOSE, until it is answered. */
  #ladder: Ladder | undefined;
  /** When an OPEN was answered last, or a CLOSE repeated. */
  #answeredAt: Instant = Number.NEGATIVE_INFINITY;

  constructor({ identity, remote, tokens, counters, now, timing = DEFAULT_FLOW_TIMING }: DatagramFlowInit) {
    this.role = identity.role;
    const initiates = this.role === 'initiator';
    this.#counters = counters;
    this.#timing = timing;
    this.#channel = new FlowChannel(identity, counters);
    // Whoever sent the L4_OFFER receives there; an OPEN's source may be forged.
    this.#paths = new PathSet(remote, initiates);
    this.#output = new FlowOutput(now, this.#channel, this.#paths, counters);
    this.#locator = new PeerLocator(this.#channel, this.#paths, this.#output, tokens);
    this.#heardAt = now;
    this.#phaseEndsAt = now + (initiates ? OPEN_TIMEOUT_MS : ACCEPT_TIMEOUT_MS);
    this.#ladder = initiates ? new Ladder(OPEN_STEPS, now) : undefined;
  }

  // ---- looks -------------------------------------------------------------------------------------------------------

  get phase(): FlowPhase {
    return this.#phase;
  }
  /** By it the peer's packets find the flow. */
  get id(): FlowId {
    return this.#channel.id;
  }
  /** Where {@link send}'s datagrams go. The same object until the peer is elsewhere. */
  get remote(): TransportAddress {
    return this.#paths.current;
  }
  /** Whether the peer has shown that it receives there. */
  get remoteValidated(): boolean {
    return this.#paths.current.validated;
  }
  /** Since when the peer has not answered a question; undefined while all is well or nothing was asked. */
  get unansweredSince(): Instant | undefined {
    return this.#locator.unansweredSince;
  }
  /** Whether the peer made these bytes: asked of an OPEN before a flow is kept for it. Changes nothing. */
  isGenuine(bytes: Uint8Array): boolean {
    return this.#channel.isGenuine(bytes);
  }
  get #over(): boolean {
    return this.#phase === 'closed' || this.#phase === 'ended';
  }

  // ---- the owner's commands ------------------------------------------------------------------------------------------

  /**
   * The datagram that carries `payload` (at most `MAX_DATAGRAM_PAYLOAD` bytes), to be sent to {@link remote} at once;
   * undefined where it is dropped, and counted: the flow is closed, or the path not validated and its allowance used.
   */
  send(now: Instant, payload: Uint8Array): Buffer | undefined {
    if (this.#over) {
      this.#counters.afterClose += 1;
      return undefined;
    }
    const opens = this.#phase === 'opening' && this.role === 'initiator';
    const overhead = opens ? MAX_DATAGRAM_OVERHEAD : DATAGRAM_HEADER_BYTES + TAG_BYTES;
    if (!this.#paths.current.spendOnData(payload.length + overhead)) {
      this.#counters.limited += 1;
      return undefined;
    }
    if (this.#channel.spent) {
      this.#close(now, 'spent');
      return undefined;
    }
    // An OPEN that is due need not go alone.
    if (opens) this.#ladder?.takeDue(now);
    this.#silence.sentData(now);
    this.#output.sentAt = now;
    return this.#channel.seal(opens ? DATAGRAM_TYPE.openData : DATAGRAM_TYPE.data, payload);
  }

  /**
   * Our address changed, or may have: the peer is told at once, and until it has answered. Without `own` it knows only
   * the address that it sees; the first `MAX_ADDRESSES` are told.
   */
  handleNetworkChange(now: Instant, own?: OwnAddresses): void {
    if (this.#over) return;
    this.#channel.stateSequence += 1;
    const { stateSequence } = this.#channel;
    const addresses = own?.addresses.slice(0, MAX_ADDRESSES) ?? [];
    const list = own && encodeWhereabouts({ stateSequence, sessionPort: own.port, addresses });
    this.#ladder?.restart(now);
    this.#silence.moved();
    this.#locator.ask('announcement', now, list);
    if (this.#phase === 'confirmed') this.#locator.handleTimeout(now);
  }

  /** The peer may also be there: from a name server or a rendezvous. Asked at once while it doesn't answer. */
  learnPeerAddresses(now: Instant, addresses: readonly TransportAddress[]): void {
    if (this.#over) return;
    this.#locator.learn(now, addresses);
    if (this.#phase === 'confirmed') this.#locator.handleTimeout(now);
  }

  /** Ends the flow. The peer is told until it has answered: keep the flow until `parted`, better until `ended`. */
  close(now: Instant): void {
    if (!this.#over) this.#close(now, 'local');
  }

  /** Says once more, and from the beginning, that the flow is over, unless the peer has answered. */
  closeAgain(now: Instant): void {
    if (this.#phase !== 'closed' || this.#ladder === undefined) return;
    this.#phaseEndsAt = now + LINGER_MS;
    this.#ladder.restart(now);
    this.#handleClosedTimeout(now);
  }

  // ---- packets in ----------------------------------------------------------------------------------------------------

  /**
   * A datagram that came for this flow, from `from` (canonical). Returns what it carried for the application if that
   * is genuine and was not received before: a view of `bytes` in suites that do not encrypt.
   */
  handleDatagram(now: Instant, bytes: Uint8Array, from: TransportAddress): Uint8Array | undefined {
    if (this.#phase === 'ended') return undefined;
    const packet = this.#channel.open(bytes);
    if (packet === undefined) return undefined;
    this.#heardAt = now;
    const { type } = packet.header;
    if (type === DATAGRAM_TYPE.close) {
      this.#handleClose(now, packet, from, bytes.length);
      return undefined;
    }
    if (this.#phase === 'closed') this.#answerAfterClose(now, packet, from);
    else if (this.#phase === 'opening') this.#handleOpening(now, packet, from, bytes.length);
    else this.#locator.follow(now, packet.header, packet.newest, from, bytes.length);
    if (type === DATAGRAM_TYPE.data || type === DATAGRAM_TYPE.openData) {
      this.#silence.heardData(now);
      return packet.payload;
    }
    this.#silence.heard();
    if (!this.#over) this.#handleControl(now, packet, from);
    return undefined;
  }

  /** A responder answers where the newest packet came from; the one that confirms the flow fixes its first path. */
  #handleOpening(now: Instant, { header, newest }: GenuinePacket, from: TransportAddress, bytes: number): void {
    this.#locator.noteSequence(header, newest);
    if (this.role === 'responder' && newest && header.type !== DATAGRAM_TYPE.answer) {
      this.#paths.replaceProvisional(from);
    }
    if (this.#paths.current.is(from)) this.#paths.current.received(bytes);
    if (header.type !== DATAGRAM_TYPE.open && header.type !== DATAGRAM_TYPE.openData) return this.#confirm(now);
    // OPENs may come in bursts, with data. One that comes again says that nothing of ours has arrived.
    if (now < this.#answeredAt + ANSWER_AGAIN_MS) return;
    this.#answeredAt = now;
    const { current } = this.#paths;
    if (current.challengeAt !== undefined) return this.#locator.challenge(now, current);
    current.startChallenge(now);
    this.#locator.challengePaths(now);
  }

  #confirm(now: Instant): void {
    this.#phase = 'confirmed';
    this.#ladder = undefined;
    this.#channel.opened();
    this.#output.emit({ type: 'confirmed' });
    if (!this.#paths.current.validated) this.#paths.current.startChallenge(now);
    // The responder is sure of us with our next packet, so there has to be one.
    this.#locator.begin(now, this.role === 'initiator');
    this.#locator.handleTimeout(now);
  }

  #handleControl(now: Instant, { header, payload }: GenuinePacket, from: TransportAddress): void {
    switch (header.type) {
      case DATAGRAM_TYPE.addresses:
        if (!this.#locator.learnList(payload.subarray(CHALLENGE_BYTES))) {
          this.#counters.malformed += 1;
          break;
        }
        this.#output.transmit(now, DATAGRAM_TYPE.answer, payload.subarray(0, CHALLENGE_BYTES), from);
        break;
      case DATAGRAM_TYPE.challenge:
        this.#output.transmit(now, DATAGRAM_TYPE.answer, payload.subarray(0, CHALLENGE_BYTES), from);
        break;
      case DATAGRAM_TYPE.answer:
        if (this.#locator.handleAnswer(now, payload, from)) this.#silence.answered(now);
        break;
      default: // OPEN, EMPTY: to have come is all that they do
    }
  }

  /** Wherever it comes from, it moves nothing: the socket of a flow that is over may be gone already. */
  #handleClose(now: Instant, { payload, newest }: GenuinePacket, from: TransportAddress, bytes: number): void {
    this.#paths.find(from)?.received(bytes);
    if (newest) this.#output.transmit(now, DATAGRAM_TYPE.answer, payload, from);
    if (this.#phase !== 'closed') return this.#close(now, 'peer');
    this.#part();
  }

  /** Whoever goes on sending hears again that it is over. */
  #answerAfterClose(now: Instant, { header, payload, newest }: GenuinePacket, from: TransportAddress): void {
    if (header.type === DATAGRAM_TYPE.answer) {
      if (this.#locator.answersClose(now, payload)) this.#part();
    } else if (newest && now >= this.#answeredAt + ANSWER_AGAIN_MS) {
      this.#answeredAt = now;
      this.#sayClosed(now, from);
    }
  }

  #sayClosed(now: Instant, to: TransportAddress): void {
    this.#output.transmit(now, DATAGRAM_TYPE.close, this.#locator.closeToken(now), to);
  }

  /** The peer knows that it is over. */
  #part(): void {
    if (this.#ladder === undefined) return;
    this.#ladder = undefined;
    this.#output.emit({ type: 'parted' });
  }

  // ---- packets and events out ----------------------------------------------------------------------------------------

  /** The flow's own packets: to be drained after every call that takes `now`, except `send`. */
  pollTransmit(): DatagramTransmit | undefined {
    return this.#output.pollTransmit();
  }

  pollEvent(): FlowEvent | undefined {
    return this.#output.pollEvent();
  }

  // ---- time ----------------------------------------------------------------------------------------------------------

  /**
   * When to call {@link handleTimeout}: to be asked after every call that takes `now`. A timer that is armed for an
   * earlier moment may stay, since a call that comes too soon does nothing.
   */
  pollTimeout(): Instant | undefined {
    if (this.#phase === 'ended') return undefined;
    if (this.#phase === 'closed') return earliest(this.#phaseEndsAt, this.#ladder?.at);
    if (this.#phase === 'opening') {
      return earliest(earliest(this.#paths.nextChallenge(), this.#phaseEndsAt), this.#ladder?.at);
    }
    const { keepAliveMs, sessionTimeoutMs } = this.#timing;
    let next = this.#locator.pollTimeout();
    if (keepAliveMs !== undefined) next = earliest(next, this.#output.sentAt + keepAliveMs);
    const { unansweredSince } = this.#locator;
    if (unansweredSince !== undefined) return earliest(next, unansweredSince + sessionTimeoutMs);
    return earliest(earliest(next, this.#idleAt), this.#silence.deadline());
  }

  /** What keeps a NAT from forgetting says nothing of the peer, which may be gone for good. */
  get #idleAt(): Instant | undefined {
    const { keepAliveMs, idleTimeoutMs } = this.#timing;
    if (idleTimeoutMs === undefined) return undefined;
    return (keepAliveMs === undefined ? Math.max(this.#heardAt, this.#output.sentAt) : this.#heardAt) + idleTimeoutMs;
  }

  handleTimeout(now: Instant): void {
    if (this.#phase === 'closed') this.#handleClosedTimeout(now);
    if (this.#phase === 'opening') this.#handleOpeningTimeout(now);
    else if (this.#phase === 'confirmed') this.#handleConfirmedTimeout(now);
  }

  #handleOpeningTimeout(now: Instant): void {
    if (now >= this.#phaseEndsAt) return this.#close(now, 'unconfirmed');
    if (this.#ladder?.takeDue(now)) {
      this.#output.transmit(now, DATAGRAM_TYPE.open, NO_PAYLOAD, this.#paths.current);
    }
    this.#locator.challengePaths(now);
  }

  #handleConfirmedTimeout(now: Instant): void {
    const { keepAliveMs, sessionTimeoutMs } = this.#timing;
    const { unansweredSince } = this.#locator;
    if (unansweredSince === undefined) {
      const idle = now >= (this.#idleAt ?? Number.POSITIVE_INFINITY);
      if (idle && keepAliveMs === undefined) return this.#close(now, 'idle');
      if (idle || now >= (this.#silence.deadline() ?? Number.POSITIVE_INFINITY)) {
        this.#silence.asked(now);
        this.#locator.ask('ask', now);
      }
    } else if (now >= unansweredSince + sessionTimeoutMs) return this.#close(now, 'timeout');
    this.#locator.handleTimeout(now);
    if (keepAliveMs !== undefined && now >= this.#output.sentAt + keepAliveMs) {
      this.#output.sentAt = now; // also where the path's allowance is used up: the next one is due later
      this.#output.transmit(now, DATAGRAM_TYPE.empty, NO_PAYLOAD, this.#paths.current);
    }
  }

  #handleClosedTimeout(now: Instant): void {
    if (now >= this.#phaseEndsAt) {
      this.#phase = 'ended';
      this.#output.emit({ type: 'ended' });
    } else if (this.#ladder?.takeDue(now)) this.#sayClosed(now, this.#paths.current);
  }

  #close(now: Instant, reason: FlowEnd): void {
    this.#phase = 'closed';
    this.#phaseEndsAt = now + LINGER_MS;
    this.#ladder = reason === 'peer' ? undefined : new Ladder(CLOSE_STEPS, now);
    this.#output.emit({ type: 'closed', reason });
    this.#handleClosedTimeout(now);
  }
}
