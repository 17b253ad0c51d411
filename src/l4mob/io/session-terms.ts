/**
 * Session terms: what this process agrees to with its peers, in either role.
 */
import type { Group } from '../key-agreement.ts';
import type { EndpointLimits, StreamLimits } from '../limits.ts';
import type { Suite } from '../suite.ts';
import type { KeyPairReserve } from './key-pair-reserve.ts';

export interface SessionTerms {
  /** In order of preference: those of the reserve. */
  readonly groups: readonly Group[];
  readonly keyPairs: KeyPairReserve;
  readonly suites: readonly Suite[];
  readonly limits: StreamLimits & EndpointLimits;
}
