/**
 * What a half of the endpoint does for the drivers of its sessions.
 */
import type { Refuse } from '../wire/hello.ts';
import type { SessionLifeEvent } from './mobile-stream.ts';
import type { StreamDriver } from './stream-driver.ts';

export interface DriverHost {
  /** Initiator: connect to the peer, then `attachDialed` or `dialFailed`. A dial under way is replaced. */
  dial(driver: StreamDriver): void;
  /** The peer has accepted the session. */
  opened(driver: StreamDriver): void;
  refused(driver: StreamDriver, refuse: Refuse): void;
  peerSilent(driver: StreamDriver): void;
  ended(driver: StreamDriver): void;
  /** After the end: the peer has closed the last subflow, so it knows all there was to know. */
  parted(driver: StreamDriver): void;
  life(event: SessionLifeEvent): void;
}
