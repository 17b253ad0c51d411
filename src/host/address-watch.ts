/**
 * Which addresses this host has, and word of every change: what a session needs to move at once instead of after a
 * timeout.
 *
 * On Linux with koffi the kernel's netlink events, within a few ms of the change; elsewhere polling. `backend` says
 * which. Life-cycle: open (the addresses are there at once), subscribe, close. A watch doesn't keep the process alive.
 * It doesn't judge addresses: which one to use is `src/addrsel`'s subject.
 */
import type { Instant } from '../core/time.ts';
import { loadLibc } from './libc.ts';
import type { LocalAddress } from './local-addresses.ts';
import { NetlinkWatch } from './netlink/netlink-watch.ts';
import { PollingWatch } from './polling-watch.ts';

/**
 * What changed, as told by one read from the kernel: a change in the world may come as several of these (the address,
 * then its route). Changes of flags alone (an address gets deprecated) are seen in `addresses()` only.
 */
export interface AddressChange {
  /** When it was noticed. */
  readonly at: Instant;
  /** Became usable: configured and free of duplicates, on an interface that is up and has carrier. */
  readonly added: readonly LocalAddress[];
  /** No longer usable: deleted, or the interface went down or lost its carrier. */
  readonly removed: readonly LocalAddress[];
  /** A route that decides over packets of ours came or went, or may have. When polling, only as an informer says. */
  readonly routesChanged: boolean;
  /** An interface came, went, was renamed, or changed between up, down, with and without carrier. */
  readonly linksChanged: boolean;
}

export interface AddressWatch {
  /** 'polling' also while netlink had to be given up and is being tried again. */
  readonly backend: 'netlink' | 'polling';
  /** 'event': the event loop is woken by the kernel. 'timer': changes are looked for on a timer. */
  readonly wakeup: 'event' | 'timer';
  /** The usable addresses now, loopback included. */
  addresses(): readonly LocalAddress[];
  /** Calls `listener` on every change until the returned function is called. */
  subscribe(listener: (change: AddressChange) => void): () => void;
  close(): void;
}

export interface AddressWatchOptions {
  /** 'auto' (the default) takes netlink where it can be had. */
  readonly backend?: 'auto' | 'polling';
  /** How netlink is read; 'event' (the default) falls back to 'timer' by itself. */
  readonly wakeup?: 'event' | 'timer';
  /** Another process that hears the kernel. It is listened to where this one can't. */
  readonly informer?: AddressInformer | undefined;
}

/** Calls `onNews` whenever something may have changed, until the returned function is called. */
export type AddressInformer = (onNews: (routesChanged: boolean) => void) => () => void;

/** Opens a watch. Never fails: what can't be had is replaced by polling. The first one in a process loads koffi. */
export function openAddressWatch(options: AddressWatchOptions = {}): AddressWatch {
  // Few and ours: the endpoint, the resolver, diagnostics. Not a list that traffic can grow.
  const listeners = new Set<(change: AddressChange) => void>();
  const tell = (change: AddressChange): void => {
    for (const listener of [...listeners]) if (listeners.has(listener)) listener(change);
  };
  const netlink = options.backend === 'polling' ? undefined : startNetlink(options.wakeup ?? 'event', tell);
  const polling = netlink === undefined ? new PollingWatch(tell) : undefined;
  const stopListening = polling && options.informer?.((routesChanged) => polling.look(routesChanged));
  return {
    get backend() {
      return netlink?.live ? 'netlink' : 'polling';
    },
    get wakeup() {
      return netlink?.wakeup ?? 'timer';
    },
    addresses: () => netlink?.addresses ?? polling?.addresses ?? [],
    subscribe: (listener) => {
      // A function of its own, so that subscribing one listener twice makes two subscriptions.
      const own = (change: AddressChange): void => listener(change);
      listeners.add(own);
      return () => void listeners.delete(own);
    },
    close: () => {
      listeners.clear();
      netlink?.close();
      stopListening?.();
      polling?.close();
    },
  };
}

function startNetlink(wakeup: 'event' | 'timer', onChange: (change: AddressChange) => void): NetlinkWatch | undefined {
  const libc = loadLibc();
  if (libc === undefined) return undefined;
  const watch = new NetlinkWatch(libc, wakeup, onChange);
  try {
    watch.start();
    return watch;
  } catch {
    return undefined; // no netlink here: a sandbox without the address family, no free descriptor
  }
}
