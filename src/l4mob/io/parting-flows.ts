/**
 * Parting flows: those whose socket the application has closed, until their peers know. The port is the application's
 * to use again at once, so what is still to be said goes from a port of ours, made for it and closed with the last of
 * them. Thousands take turns, each new one for an answer. Nobody waits for it: it keeps no process alive, and one that
 * exits says once that its flows are over.
 */
import { type Family, familyOf, type TransportAddress } from '../../core/address.ts';
import type { Instant } from '../../core/time.ts';
import { monotonicNow } from '../../host/clock.ts';
import { openUdpPort, type UdpPort } from '../../host/udp-port.ts';
import type { DatagramFlow } from '../datagram/datagram-flow.ts';
import type { FlowEnd } from '../datagram/flow-event.ts';
import { mayBeFlowDatagram } from '../wire/datagram.ts';
import type { FlowDriver, FlowHost } from './flow-driver.ts';
import type { AlarmOwner, SharedAlarm } from './shared-alarm.ts';

/** Half of the small packets that Linux keeps for one socket which nobody reads just now: the peers may all be at one. */
const MOST_AT_ONCE = 128;
/** Who has not answered by then goes on beside the next ones. */
const TURN_MS = 100;

export interface PartingFlowsHost {
  readonly alarm: SharedAlarm;
  find(bytes: Uint8Array): FlowDriver | undefined;
  /** It is over, as those who look see it. */
  partingBegun(driver: FlowDriver, reason: FlowEnd): void;
  /** Nothing more is said of it. */
  forget(flow: DatagramFlow): void;
}

export class PartingFlows implements FlowHost, AlarmOwner {
  dueAt: Instant = 0;
  place = -1;
  readonly #host: PartingFlowsHost;
  /** No more than there may be flows, for ten seconds after their turn at most. */
  readonly #drivers = new Map<DatagramFlow, FlowDriver>();
  /** In the order in which they came. */
  readonly #waiting = new Set<FlowDriver>();
  /** Those whose turn it is. */
  readonly #speaking = new Set<FlowDriver>();
  readonly #ports = new Map<Family, UdpPort>();

  constructor(host: PartingFlowsHost) {
    this.#host = host;
  }

  get alarm(): SharedAlarm {
    return this.#host.alarm;
  }

  driverOf(flow: DatagramFlow): FlowDriver | undefined {
    return this.#drivers.get(flow);
  }

  /**
   * The packet that comes back is for the socket that goes, on a way that NATs know. It is older than what goes from here
   * at once where few part: so a peer that hears both does not answer to a port that another socket may have by then.
   */
  take(driver: FlowDriver): ReturnType<FlowDriver['part']> {
    const now = monotonicNow();
    this.#drivers.set(driver.flow, driver);
    const first = driver.part(now, this);
    this.#waiting.add(driver);
    this.#giveTurns(now);
    return first;
  }

  close(): void {
    this.#waiting.clear();
    for (const driver of [...this.#drivers.values()]) this.ended(driver);
  }

  // ---- FlowHost ------------------------------------------------------------------------------------------------------

  transmit(bytes: Uint8Array, to: TransportAddress): void {
    this.#port(familyOf(to.ip)).send(bytes, to);
  }

  closed(driver: FlowDriver, reason: FlowEnd): void {
    this.#host.partingBegun(driver, reason);
  }

  parted(driver: FlowDriver): void {
    this.ended(driver);
  }

  ended(driver: FlowDriver): void {
    if (!this.#drivers.delete(driver.flow)) return;
    this.#waiting.delete(driver);
    driver.abandon();
    this.#host.forget(driver.flow);
    if (this.#speaking.delete(driver)) this.#giveTurns(monotonicNow());
    if (this.#drivers.size > 0) return;
    for (const port of this.#ports.values()) port.close();
    this.#ports.clear();
  }

  // A flow that is over goes nowhere.
  carries(): void {}
  located(): void {}
  silent(): void {}
  lost(): void {}

  // ---- AlarmOwner ----------------------------------------------------------------------------------------------------

  handleAlarm(now: Instant): void {
    this.#speaking.clear();
    this.#giveTurns(now);
  }

  // --------------------------------------------------------------------------------------------------------------------

  #giveTurns(now: Instant): void {
    for (const driver of this.#waiting) {
      if (this.#speaking.size >= MOST_AT_ONCE) return this.alarm.expect(this, now + TURN_MS);
      this.#waiting.delete(driver);
      this.#speaking.add(driver);
      driver.closeAgain(now);
    }
  }

  #port(family: Family): UdpPort {
    const known = this.#ports.get(family);
    if (known !== undefined) return known;
    const port = openUdpPort({
      address: family === 6 ? '::' : '0.0.0.0',
      port: 0,
      ipv6Only: family === 6,
      onDatagram: (bytes, from) => this.#handleDatagram(bytes, from),
    });
    this.#ports.set(family, port);
    return port;
  }

  #handleDatagram(bytes: Buffer, from: TransportAddress): void {
    if (!mayBeFlowDatagram(bytes)) return;
    const driver = this.#host.find(bytes);
    if (driver !== undefined && this.#drivers.has(driver.flow)) driver.handleDatagram(monotonicNow(), bytes, from);
  }
}
