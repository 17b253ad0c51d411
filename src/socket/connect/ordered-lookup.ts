/**
 * Node's lookup of a name, its answer in an order of ours. It is asked for all addresses also where node wants one, so
 * that this one is the best.
 */

import type { AddressOrder } from '../layer.ts';
import type { Lookup, LookupCallback } from './connect-arguments.ts';

export function orderedLookup(lookup: Lookup, addressOrder: AddressOrder): Lookup {
  return (host, options, callback) => {
    const answered: LookupCallback = function (this: unknown, error, answer) {
      if (error || !Array.isArray(answer)) return callback.call(this, error, answer);
      const sorted: { readonly address: string; readonly family: unknown }[] = addressOrder.order(answer);
      if (options.all === true) return callback.call(this, null, sorted);
      return callback.call(this, null, sorted[0]?.address, sorted[0]?.family);
    };
    return lookup(host, { ...options, all: true }, answered);
  };
}
