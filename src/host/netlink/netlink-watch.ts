/**
 * The address watch on Linux: netlink's events applied to a table that a dump filled.
 *
 * Life-cycle: `start` (synchronous: the addresses are there when it returns), events, `close`. When events were lost,
 * or the descriptor broke, everything is opened and dumped again and the difference told; while that fails (no free
 * descriptor, say) the addresses are polled. What one read gave makes at most one change.
 */
import type { Instant } from '../../core/time.ts';
import type { AddressChange } from '../address-watch.ts';
import { Alarm, monotonicNow } from '../clock.ts';
import type { Libc } from '../libc.ts';
import { diffLocalAddresses, type LocalAddress, rereadLocalAddresses } from '../local-addresses.ts';
import { AddressTable } from './address-table.ts';
import { type EventReader, readEvents, type Wakeup } from './event-reader.ts';
import { decodeMessages } from './message.ts';
import { NetlinkSocket } from './netlink-socket.ts';
import { decodeRouteMessage, WATCHED_GROUPS } from './route-messages.ts';

/** Opening and dumping takes about 1 ms: under a constant flood one in 20 ms is affordable and still inside the reaction time. */
const RESYNC_INTERVAL_MS = 20;
/** As the polling watch, which this is while netlink can't be had. */
const RETRY_MS = 100;

export class NetlinkWatch {
  readonly #libc: Libc;
  readonly #wantedWakeup: Wakeup;
  readonly #onChange: (change: AddressChange) => void;
  readonly #resyncAlarm: Alarm;
  #table = new AddressTable();
  #reader: EventReader | undefined;
  #addresses: readonly LocalAddress[] = [];
  #lastResync: Instant = Number.NEGATIVE_INFINITY;
  #closed = false;

  constructor(libc: Libc, wakeup: Wakeup, onChange: (change: AddressChange) => void) {
    this.#libc = libc;
    this.#wantedWakeup = wakeup;
    this.#onChange = onChange;
    this.#resyncAlarm = new Alarm((now) => this.#resync(now));
    this.#resyncAlarm.unref();
  }

  /** Whether events are being read: false while a lost descriptor couldn't be replaced yet. */
  get live(): boolean {
    return this.#reader !== undefined;
  }

  get wakeup(): Wakeup {
    return this.#reader?.wakeup ?? 'timer';
  }

  get addresses(): readonly LocalAddress[] {
    return this.#addresses;
  }

  /** Throws where netlink can't be had. */
  start(): void {
    this.#open(monotonicNow());
    this.#addresses = this.#table.usable();
  }

  close(): void {
    this.#closed = true;
    this.#resyncAlarm.set(undefined);
    this.#reader?.close();
    this.#reader = undefined;
  }

  #open(now: Instant): void {
    this.#lastResync = now;
    const socket = new NetlinkSocket(this.#libc, WATCHED_GROUPS);
    const table = new AddressTable();
    try {
      socket.dump(table);
    } catch (error) {
      socket.close();
      throw error;
    }
    this.#table = table;
    this.#reader = readEvents(
      this.#libc,
      socket.release(),
      { onBytes: (bytes) => this.#handleBytes(bytes), onLost: () => this.#handleLoss() },
      this.#wantedWakeup,
    );
  }

  #handleBytes(bytes: Uint8Array): void {
    let routesChanged = false;
    let linksChanged = false;
    try {
      for (const message of decodeMessages(bytes)) {
        const effect = this.#table.handleMessage(decodeRouteMessage(message));
        routesChanged ||= effect === 'routes';
        linksChanged ||= effect === 'links';
      }
    } catch {
      // A WireError: the kernel said something we can't read, so the table may be wrong from here on.
      this.#reader?.close();
      this.#handleLoss();
      return;
    }
    this.#tell(monotonicNow(), this.#table.usable(), routesChanged, linksChanged);
  }

  #handleLoss(): void {
    this.#reader = undefined;
    this.#resyncAlarm.set(Math.max(monotonicNow(), this.#lastResync + RESYNC_INTERVAL_MS));
  }

  #resync(now: Instant): void {
    const linksBefore = this.#table.linkState();
    try {
      this.#open(now);
    } catch {
      this.#resyncAlarm.set(now + RETRY_MS);
      this.#tell(now, rereadLocalAddresses(this.#addresses), false, false);
      return;
    }
    // Lost events may have been about routes.
    this.#tell(now, this.#table.usable(), true, this.#table.linkState() !== linksBefore);
  }

  #tell(at: Instant, addresses: readonly LocalAddress[], routesChanged: boolean, linksChanged: boolean): void {
    if (this.#closed || (addresses === this.#addresses && !routesChanged && !linksChanged)) return;
    const { added, removed } = diffLocalAddresses(this.#addresses, addresses);
    this.#addresses = addresses;
    if (added.length === 0 && removed.length === 0 && !routesChanged && !linksChanged) return;
    this.#onChange({ at, added, removed, routesChanged, linksChanged });
  }
}
