/** The UDP port of a rendezvous service where none is named: no other service is registered for it. */
export const RENDEZVOUS_PORT = 4474;
