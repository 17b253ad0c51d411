/**
 * The kernel's labels in the form of iproute2's `ip addrlabel`: its list read, and commands written.
 */
import { isMapped, MAPPED_BITS } from './ipv6-form.ts';
import { parsePolicyPrefix } from './policy-prefix.ts';
import { keyOf, type PolicyEntry, type PolicyTable } from './policy-table.ts';

/** `prefix 2001:db8::/32 dev eth0 label 7`. */
const LISTED = /^prefix (\S+) (?:dev (\S+) )?label (\d{1,10})\s*$/;

/** Reads `ip addrlabel list`; undefined where a line isn't of its form. */
export function readAddrlabelList(text: string): readonly PolicyEntry[] | undefined {
  const entries: PolicyEntry[] = [];
  for (const line of text.split('\n').filter((line) => line !== '')) {
    const [, prefixText = '', interfaceName, label] = LISTED.exec(line) ?? [];
    const prefix = parsePolicyPrefix(prefixText);
    if ('problem' in prefix) return undefined;
    entries.push({ prefix, interfaceName, label: Number(label), precedence: undefined });
  }
  return entries;
}

/** Whether the kernel takes a label for this prefix: it has one for all of IPv4, and none within. */
export function kernelTakes({ prefix }: Pick<PolicyEntry, 'prefix'>): boolean {
  return !(isMapped(prefix.bytes) && prefix.length > MAPPED_BITS);
}

/** A shell script that gives the kernel the labels of a table. */
export function writeAddrlabelCommands({ entries }: PolicyTable): string {
  const labels = entries.filter(({ label }) => label !== undefined);
  const commands = labels.map((entry) =>
    kernelTakes(entry)
      ? `ip addrlabel ${addCommand(entry)}`
      : `# ${keyOf(entry)}: the kernel has no labels within IPv4`,
  );
  return `${['# The kernel has labels only: precedences are for getaddrinfo.', 'ip addrlabel flush', ...commands].join('\n')}\n`;
}

/** `add prefix 2001:db8::/32 dev eth0 label 7`. */
export function addCommand(entry: Pick<PolicyEntry, 'prefix' | 'interfaceName' | 'label'>): string {
  return `add prefix ${keyOf(entry)} label ${entry.label}`;
}
