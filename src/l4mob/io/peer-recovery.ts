/**
 * Peer recovery: what is done about the peer of a flow that does not answer, beside the flow's own questions.
 *
 * It may be elsewhere: its name is looked up and it is sought at the rendezvous services (PeerSearch); what they say is
 * worth a question of the flow, which only the peer can answer. Or it may be gone: whoever is at its addresses is
 * asked (PeerInquiry). Nobody has the port: the peer is gone. Somebody answers, but not the flow: the peer was
 * restarted without its keys, and a new flow takes the place of the old one.
 */
import type { TransportAddress } from '../../core/address.ts';
import { after, monotonicNow } from '../../host/clock.ts';
import type { Association } from '../association.ts';
import type { InitiatorHandshake } from '../initiator-handshake.ts';
import type { PortPair } from '../port-pairs.ts';
import type { Whereabouts } from '../wire/update.ts';
import type { FlowDriver } from './flow-driver.ts';
import { PeerInquiry } from './peer-inquiry.ts';
import { PeerSearch } from './peer-search.ts';
import type { RendezvousDirectory } from './rendezvous-directory.ts';

export interface PeerRecoveryHost {
  readonly rendezvous: RendezvousDirectory | undefined;
  /** The name that the application asked for. */
  hostName(): string | undefined;
  whereabouts(): Whereabouts;
  transmit(bytes: Uint8Array, to: TransportAddress): void;
  handshake(remote: TransportAddress): InitiatorHandshake;
  /** Another process has taken the peer's place at that address. */
  replaced(driver: FlowDriver, address: TransportAddress, association: Association, portPair: PortPair): void;
  /** Nobody is there any more. */
  gone(driver: FlowDriver): void;
}

/** Places from a name server or a rendezvous; the oldest goes first. */
const MAX_HINTS = 8;
/**
 * Somebody answers where the peer was, or nobody: the flow's questions go on for this long, in case the peer is slow,
 * or somewhere else.
 */
const LAST_CHANCE_MS = 1_000;

export class PeerRecovery {
  readonly #driver: FlowDriver;
  readonly #host: PeerRecoveryHost;
  readonly #search: PeerSearch;
  #hints: readonly TransportAddress[] = [];
  #inquiry: PeerInquiry | undefined;
  #cancelLastChance: (() => void) | undefined;
  /** Times that the flow said that its peer is lost, and the one at which the next inquiry is made. */
  #losses = 0;
  #inquiryAt = 1;

  constructor(driver: FlowDriver, host: PeerRecoveryHost) {
    this.#driver = driver;
    this.#host = host;
    const { association, metAt } = driver;
    driver.rendezvousVersions ??= { own: 0, heard: 0 };
    const { role } = driver.flow;
    this.#search = new PeerSearch({
      role,
      rendezvous: host.rendezvous,
      metAt,
      versions: driver.rendezvousVersions,
      keys: () => association.rendezvousKeys(),
      name: () => host.hostName(),
      peerPort: () => driver.name.port,
      whereabouts: () => host.whereabouts(),
      send: (bytes, to) => host.transmit(bytes, to),
      isLost: () => driver.isLost,
      handleFound: ({ whereabouts: { addresses, sessionPort }, seenFrom }) => {
        const told = sessionPort === 0 ? [] : addresses.map((ip) => ({ ip, port: sessionPort }));
        this.#learn([...told, seenFrom]);
      },
      handleHints: (places) => this.#learn(places),
    });
  }

  /** The peer may be somewhere else, or we are. `overdue`: it has owed an answer for long already. */
  seek(overdue?: boolean): void {
    this.#search.begin(overdue);
  }

  /** The flow's questions have gone unanswered for a while; said again and again until it is found. */
  handleLoss(): void {
    this.#losses += 1;
    if (this.#losses === 1) this.seek(true);
    // An answer would come to one of the first; who has the address now, perhaps, is not to be asked for ever.
    if (this.#driver.flow.role !== 'initiator' || this.#losses < this.#inquiryAt || this.#inquiry !== undefined) return;
    this.#inquiryAt = 2 * this.#losses;
    this.#inquire();
  }

  stop(): void {
    this.#search.stop();
    this.#endInquiry();
  }

  #learn(places: readonly TransportAddress[]): void {
    const isNews = ({ ip, port }: TransportAddress): boolean =>
      !places.some((place) => place.ip === ip && place.port === port);
    this.#hints = [...places, ...this.#hints.filter(isNews)].slice(0, MAX_HINTS);
    this.#driver.learnPeerAddresses(monotonicNow(), this.#hints);
  }

  #inquire(): void {
    const { name, flow } = this.#driver;
    const remote = { ip: flow.remote.ip, port: flow.remote.port };
    const addresses = remote.ip === name.ip && remote.port === name.port ? [name] : [name, remote];
    this.#inquiry = new PeerInquiry(this.#host.handshake(name), addresses, {
      onAnswer: (address, association, portPair) => {
        this.#learn([address]);
        this.#lastChance(() => this.#host.replaced(this.#driver, address, association, portPair));
      },
      onRefused: () => this.#lastChance(() => this.#host.gone(this.#driver)),
      onSilence: () => this.#endInquiry(),
    });
  }

  #lastChance(otherwise: () => void): void {
    this.#cancelLastChance = after(LAST_CHANCE_MS, () => {
      this.#endInquiry();
      if (this.#driver.isLost) otherwise();
    });
  }

  #endInquiry(): void {
    this.#inquiry?.cancel();
    this.#inquiry = undefined;
    this.#cancelLastChance?.();
    this.#cancelLastChance = undefined;
  }
}
