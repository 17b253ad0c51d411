/**
 * mobisock/rendezvous: the service by which two peers that have moved at the same instant find each other again, for
 * programs that want it in their own process. `mobisock rendezvous` runs it as a command.
 *
 *     import { openRendezvousService } from 'mobisock/rendezvous';
 *     const service = await openRendezvousService({ port: 4474 });
 *
 * Free of side effects. What it learns and what not: docs/protocol.md, "Rendezvous".
 */
export {
  openRendezvousService,
  type RendezvousService,
  type RendezvousServiceOptions,
} from './l4mob/io/rendezvous-service.ts';
export { RENDEZVOUS_PORT } from './l4mob/rendezvous/rendezvous-port.ts';
export {
  DEFAULT_RENDEZVOUS_LIMITS,
  type RendezvousCounters,
  type RendezvousLimits,
} from './l4mob/rendezvous/rendezvous-service.ts';
