/**
 * First contacts: the L4_INIT exchanges of this process that are under way, one for each destination however many
 * connections are opened at once. The first one's port pair is the offered one; the others open sessions on the same
 * association as later contacts do. A hundred exchanges instead would cost a hundred key agreements, and a responder
 * bounds what it keeps for one source.
 */
import type { Agreement, HandshakeHandlers, RunningHandshake } from './handshake-runner.ts';
import type { OpenRequest, PlainReason } from './mobile-stream.ts';
import type { Peer } from './peer.ts';

/** A connection that waits for the outcome. */
export interface ContactParticipant {
  /** Returns whether it took the port pair, and the connection if there is one, of the agreement offered to it. */
  agreed(peer: Peer, roundTripMs: number, offered: Agreement | undefined): boolean;
  failed(reason: PlainReason): void;
}

export interface FirstContactsHost {
  handshake(request: OpenRequest, handlers: HandshakeHandlers): RunningHandshake;
  remember(request: OpenRequest, agreement: Agreement): Peer;
  /** An answer came when nobody waited for it any more. */
  rememberAware(request: OpenRequest, agreement: Agreement): void;
}

export interface FirstContact {
  /** The participant does without. */
  leave(participant: ContactParticipant): void;
}

export class FirstContacts {
  readonly #host: FirstContactsHost;
  readonly #underWay = new Map<string, Contact>();

  constructor(host: FirstContactsHost) {
    this.#host = host;
  }

  /** Joins the contact that is under way to the same destination, or begins it. */
  join(request: OpenRequest, participant: ContactParticipant): FirstContact {
    const { addresses, port, localAddress = '', sessionPort = '' } = request;
    const key = `${port} ${localAddress} ${sessionPort} ${addresses.join(' ')}`;
    const running = this.#underWay.get(key);
    if (running !== undefined) {
      running.join(participant);
      return running;
    }
    const contact: Contact = new Contact(this.#host, request, () => {
      if (this.#underWay.get(key) === contact) this.#underWay.delete(key);
    });
    this.#underWay.set(key, contact);
    contact.join(participant);
    contact.start();
    return contact;
  }
}

class Contact implements FirstContact {
  readonly #host: FirstContactsHost;
  readonly #request: OpenRequest;
  readonly #onOver: () => void;
  /** In the order in which they came. */
  readonly #participants = new Set<ContactParticipant>();
  #handshake: RunningHandshake | undefined;

  constructor(host: FirstContactsHost, request: OpenRequest, onOver: () => void) {
    this.#host = host;
    this.#request = request;
    this.#onOver = onOver;
  }

  start(): void {
    const handlers: HandshakeHandlers = {
      onAgreed: (agreement) => this.#agreed(agreement),
      onFailed: (reason) => {
        for (const participant of this.#over()) participant.failed(reason);
      },
    };
    this.#handshake = this.#host.handshake(this.#request, handlers);
  }

  join(participant: ContactParticipant): void {
    this.#participants.add(participant);
  }

  leave(participant: ContactParticipant): void {
    if (!this.#participants.delete(participant) || this.#participants.size > 0) return;
    // It must not keep the process alive now, and who comes next needs one that does.
    this.#handshake?.goOnUnreferenced();
    this.#onOver();
  }

  #agreed(agreement: Agreement): void {
    const participants = this.#over();
    if (participants.length === 0) {
      this.#host.rememberAware(this.#request, agreement);
      agreement.connection?.close();
      return;
    }
    const peer = this.#host.remember(this.#request, agreement);
    let offered: Agreement | undefined = agreement;
    for (const participant of participants) {
      if (participant.agreed(peer, agreement.roundTripMs, offered)) offered = undefined;
    }
    offered?.connection?.close();
  }

  #over(): ContactParticipant[] {
    this.#onOver();
    const participants = [...this.#participants];
    this.#participants.clear();
    return participants;
  }
}
