/**
 * The face of datagram flows to the socket layer. For each UDP socket of the application that the policy makes mobile,
 * the endpoint has a {@link DatagramService}; it sees every datagram that comes and goes, and does everything on the
 * application's own socket, by its {@link DatagramPort}. No `dgram` semantics here: `src/socket` has those.
 *
 * An application knows each peer by one name, an address and port that never changes: the source from which the peer's
 * first datagram came, or the address that the application itself sent to first. The service translates between names
 * and the addresses where peers are now; two peers never share a name.
 *
 * All addresses are canonical: a socket of both families has IPv4-mapped ones outside, and plain IPv4 here.
 */
import type { TransportAddress } from '../../core/address.ts';

/** The application's socket, as the service uses it. */
export interface DatagramPort {
  /** As it is bound; the unspecified address where it is bound to all. */
  readonly local: TransportAddress;
  /**
   * Puts one datagram on the wire as it is. What the kernel says of single datagrams is the network's business. A
   * connected socket reaches nobody but its peer before {@link openToAll}. The memory is not to be used again, for the
   * kernel may take it later; the same holds for what `send` returns.
   */
  transmit(bytes: Uint8Array, to: TransportAddress): void;
  /**
   * Gives the application a datagram from the peer of that name. The bytes are its own from here on. What is delivered
   * within `handleDatagram` reaches the application when that has returned; at other times, before this returns.
   */
  deliver(bytes: Buffer, from: TransportAddress): void;
  /**
   * The kernel has to let datagrams in from anywhere from now on, and not only from the address that the application
   * connected to: a flow stands, and its peer may move. The local port stays what it is.
   */
  openToAll(): void;
  /** That flow is over: a socket that is still connected hears its peer alone again, and ICMP. */
  closeToOthers(): void;
  /** The peer of a connected socket is gone: the application hears of it as it would from ICMP. */
  refused(): void;
}

/** What the application does with its socket. */
export interface DatagramService {
  /**
   * A datagram that came. Returns true where it was dealt with: it was ours, or it was delivered under another name.
   * False, in nearly all cases after one look at its first byte: it is the application's as it is.
   */
  handleDatagram(bytes: Buffer, from: TransportAddress): boolean;
  /**
   * ICMP has said of a connected socket's peer that it can't be reached. Returns true where none but our own datagrams
   * can have caused that: the application has nothing to do with it.
   */
  handleUnreachable(): boolean;
  /**
   * A datagram of the application to the peer of that name, in the pieces that it gave. Returns the datagram to
   * transmit instead, and where to; `undefined` where it goes as it is, `'dropped'` where it may not go at all,
   * `'too-long'` where no datagram has room for it and what a flow adds (EMSGSIZE).
   */
  send(pieces: readonly Uint8Array[], to: TransportAddress): OutgoingDatagram | undefined | 'dropped' | 'too-long';
  /** Connected sockets: this is the peer, and `host` the name that the application asked for. */
  connected(remote: TransportAddress, host?: string): void;
  disconnected(): void;
  /** How many flows it has, for those who look. */
  readonly flows: number;
  /** The application closes its socket, which can transmit until this returns: peers are told, all is forgotten. */
  close(): void;
}

export interface OutgoingDatagram {
  readonly bytes: Uint8Array;
  readonly to: TransportAddress;
}

/** Whether a peer may be asked for a flow, and when: only once its exchange has lasted, or with its first answer. */
export type Initiative = 'never' | 'lasting' | 'answered';

export interface DatagramServiceOptions {
  readonly port: DatagramPort;
  /** May flows be opened towards that peer? Asked once for each, before anything of ours is sent to it. */
  initiates(remote: TransportAddress, connected: boolean): Initiative;
  /**
   * Is nothing to go to that peer but through a flow? Then contact begins with the first datagram. Plain datagrams to it
   * and from it are dropped by the port's side, whatever the service says of them.
   */
  requires?(remote: TransportAddress, connected: boolean): boolean;
  /** May that source open flows to us? */
  accepts(ip: string): boolean;
}

/** What the process's endpoint does for UDP. */
export interface DatagramEndpoint {
  openDatagrams(options: DatagramServiceOptions): DatagramService;
}
