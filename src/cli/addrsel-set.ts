/**
 * `mobisock addrsel set`: changes one entry, of the kernel's table or of a file.
 */
import { addCommand, kernelTakes } from '../addrsel/addrlabel.ts';
import { isJson, readTableText } from '../addrsel/io/system-tables.ts';
import { interfaceName } from '../addrsel/policy-json.ts';
import { parsePolicyPrefix } from '../addrsel/policy-prefix.ts';
import { HIGHEST_PRECEDENCE, keyOf, NO_LABEL, type PolicyEntry } from '../addrsel/policy-table.ts';
import { type EntryChange, editGaiConf, editPolicyJson } from '../addrsel/table-edit.ts';
import { UsageError } from '../core/errors.ts';
import { Place, Problems } from '../core/shape.ts';
import { deleteKernelLabel, type KernelLabel, setKernelLabel } from '../host/address-labels.ts';
import { replaceFile } from '../host/replace-file.ts';
import { readArguments, readCount } from './command.ts';

/** What the kernel's refusals mean here. */
const KERNEL_REFUSALS: Readonly<Record<string, string>> = {
  EPERM: "changing the kernel's labels needs root (CAP_NET_ADMIN); --file changes a file instead",
  ESRCH: 'the kernel has no such entry',
  ENODEV: 'there is no such interface',
};

export async function set(args: readonly string[]): Promise<void> {
  const { words, options, switches } = readArguments(args, {
    options: ['label', 'precedence', 'interface', 'file'],
    switches: ['kernel', 'remove'],
    words: 1,
  });
  const change: EntryChange = { act: switches.remove ? 'remove' : 'set', entry: readEntry(words[0], options) };
  checkValues(change);
  if (!switches.kernel && options.file === undefined) {
    throw new UsageError('addrsel set: expected --kernel, --file FILE or both: what is to be changed');
  }
  // Whatever can be wrong with the file shows before the kernel is changed.
  const text = options.file === undefined ? undefined : editFile(options.file, change);
  if (switches.kernel) changeKernel(change);
  if (options.file !== undefined && text !== undefined) await replaceFile(options.file, text);
}

function readEntry(
  text: string | undefined,
  options: Partial<Record<'label' | 'precedence' | 'interface', string>>,
): PolicyEntry {
  if (text === undefined) throw new UsageError('addrsel set: expected a prefix such as 2001:db8::/32');
  const prefix = parsePolicyPrefix(text);
  if ('problem' in prefix) throw new UsageError(`addrsel set: found "${text}", expected ${prefix.problem}`);
  const { label, precedence, interface: name } = options;
  return {
    prefix,
    interfaceName: name === undefined ? undefined : readInterface(name),
    label: label === undefined ? undefined : readCount('label', label, 0, NO_LABEL - 1),
    precedence: precedence === undefined ? undefined : readCount('precedence', precedence, 0, HIGHEST_PRECEDENCE),
  };
}

function readInterface(name: string): string {
  const problems = new Problems();
  interfaceName(name, new Place('--interface'), { problems, code: 'ERR_MOBISOCK_POLICY' });
  problems.throwIfAny();
  return name;
}

function checkValues({ act, entry }: EntryChange): void {
  const hasValue = entry.label !== undefined || entry.precedence !== undefined;
  if (act === 'set' && !hasValue) throw new UsageError('addrsel set: expected --label, --precedence or --remove');
  if (act === 'remove' && hasValue) throw new UsageError('addrsel set: --remove takes no --label and no --precedence');
}

function editFile(path: string, change: EntryChange): string {
  const text = readTableText(path);
  return isJson(path) ? editPolicyJson(text, change) : editGaiConf(text ?? '', change);
}

function changeKernel({ act, entry }: EntryChange): void {
  if (act === 'set' && entry.label === undefined) {
    throw new UsageError('--kernel: the kernel has labels only; precedences are for getaddrinfo: --file /etc/gai.conf');
  }
  if (!kernelTakes(entry)) throw new UsageError(`--kernel: ${keyOf(entry)}: the kernel has no labels within IPv4`);
  const { bytes: prefix, length: prefixLength } = entry.prefix;
  const key: Omit<KernelLabel, 'label'> = { prefix, prefixLength, interfaceName: entry.interfaceName };
  try {
    if (act === 'remove') deleteKernelLabel(key);
    else if (entry.label !== undefined) setKernelLabel({ ...key, label: entry.label });
  } catch (cause) {
    if (!(cause instanceof Error)) throw cause;
    const command = act === 'remove' ? `del prefix ${keyOf(entry)}` : addCommand(entry);
    const refusal = 'code' in cause ? KERNEL_REFUSALS[String(cause.code)] : undefined;
    throw new Error(`ip addrlabel ${command}: ${refusal ?? cause.message}`, { cause });
  }
}
