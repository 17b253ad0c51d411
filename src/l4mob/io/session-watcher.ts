/**
 * What the endpoint wants to hear of every session, whichever half of it made the session.
 */
import type { SessionLifeEvent } from './mobile-stream.ts';
import type { StreamDriver } from './stream-driver.ts';

export interface SessionWatcher {
  started(driver: StreamDriver): void;
  ended(driver: StreamDriver): void;
  life(event: SessionLifeEvent): void;
}
