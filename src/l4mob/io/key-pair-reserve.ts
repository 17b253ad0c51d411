/**
 * Key pair reserve: a group whose next key pair is made beforehand, in a quiet moment, so that a handshake doesn't wait
 * for it. Each key pair still serves one handshake.
 */
import { osRandom } from '../../host/random.ts';
import type { Group, KeyPair } from '../key-agreement.ts';

export function withReserve(group: Group): Group {
  let spare: KeyPair | undefined;
  let refilling = false;
  const refill = (): void => {
    refilling = false;
    spare ??= group.generate(osRandom);
  };
  return {
    ...group,
    generate: (random) => {
      const keyPair = spare ?? group.generate(random);
      spare = undefined;
      if (!refilling) {
        refilling = true;
        setImmediate(refill).unref();
      }
      return keyPair;
    },
  };
}
