/**
 * How this process chooses among addresses where its policy names a table. One, whichever of the package's entry points
 * needs it first.
 */
import { AddressSelection } from '../addrsel/io/address-selection.ts';

let made: AddressSelection | undefined;

/** `table` counts for the first call only; it comes from this process's policy. @throws UsageError */
export function processAddressSelection(table: string): AddressSelection {
  made ??= new AddressSelection(table, (message) => process.emitWarning(message, 'MobisockWarning'));
  return made;
}
