/**
 * A handle in whose place another one is: what had come for it by then is still heard, and what it was about to send
 * still goes out. Ends by itself.
 */
import type { OnMessage, UdpHandle } from './dgram-internals.ts';

/** `isWanted`: whether anybody hears what still comes. */
export function retireHandle(handle: UdpHandle, onMessage: OnMessage, isWanted: () => boolean): void {
  let busy = true;
  handle.onmessage = function (...args) {
    busy = true;
    if (isWanted()) onMessage.apply(this, args);
  };
  handle.unref();
  // Nothing new comes, so one turn of the event loop in which nothing came is the end of it.
  const look = (): void => {
    if (isWanted() && (busy || handle.getSendQueueCount() > 0)) {
      busy = false;
      setImmediate(look);
    } else handle.close();
  };
  setImmediate(look);
}
