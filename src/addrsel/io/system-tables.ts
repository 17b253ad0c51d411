/**
 * Policy tables by name: the RFC's, the two that this machine has (the kernel's and glibc's), and files.
 */
import { UsageError } from '../../core/errors.ts';
import { type Check, Place, Problems } from '../../core/shape.ts';
import { type KernelLabels, listKernelLabels, readKernelLabels } from '../../host/address-labels.ts';
import { readFileStart } from '../../host/file-start.ts';
import { readAddrlabelList } from '../addrlabel.ts';
import { RFC_6724_ENTRIES } from '../default-tables.ts';
import { glibcDefaults, readGaiConf, TABLE_FILE_LIMIT_BYTES } from '../gai-conf.ts';
import { readPolicyJson } from '../policy-json.ts';
import { policyPrefix } from '../policy-prefix.ts';
import { type PolicyEntry, PolicyTable } from '../policy-table.ts';
import { isTablePath, TABLE_NAMES, type TableName } from '../table-name.ts';

export const GAI_CONF = '/etc/gai.conf';

const NAMED: Readonly<Record<TableName, () => PolicyTable>> = {
  rfc6724: () => new PolicyTable(RFC_6724_ENTRIES),
  kernel: readKernelTable,
  glibc: readGlibcTable,
};

/**
 * `rfc6724`, `kernel`, `glibc`, or a path: JSON where it ends in `.json`, otherwise in the form of gai.conf.
 *
 * @throws UsageError (ERR_MOBISOCK_POLICY) with every mistake of a file; system errors of the kernel's table.
 */
export function readTable(name: string): PolicyTable {
  if (Object.hasOwn(NAMED, name)) return NAMED[name as TableName]();
  if (isTablePath(name)) return readTableFile(name);
  throw new UsageError(`table: found "${name}", expected ${TABLE_NAMES.join(', ')}, or a path with "/" or "." in it`);
}

/** The kernel's labels now; precedences it has none. Throws a system error. */
export function readKernelTable(): PolicyTable {
  return new PolicyTable(entriesOf(readKernelLabels()) ?? listed());
}

/** What getaddrinfo goes by: /etc/gai.conf, and glibc's own table where that is missing or says nothing. */
export function readGlibcTable(): PolicyTable {
  return readChecked(GAI_CONF, (bytes, check) => readGaiConf(GAI_CONF, bytes, check).table) ?? glibcDefaults();
}

/** A file as text, checked; undefined where it doesn't exist. @throws UsageError */
export function readTableText(path: string): string | undefined {
  return readChecked(path, (bytes, check) => {
    readTableBytes(path, bytes, check);
    return new TextDecoder().decode(bytes);
  });
}

export function isJson(path: string): boolean {
  return path.endsWith('.json');
}

function readTableFile(path: string): PolicyTable {
  const table = readChecked(path, (bytes, check) => readTableBytes(path, bytes, check));
  if (table === undefined) throw new UsageError(`${path}: no such file`, 'ERR_MOBISOCK_POLICY');
  return table;
}

function readTableBytes(path: string, bytes: Uint8Array, check: Check): PolicyTable {
  return isJson(path) ? readPolicyJson(path, bytes, check) : readGaiConf(path, bytes, check).table;
}

/** Undefined where there is no such file. @throws UsageError with every mistake in it. */
function readChecked<T>(path: string, read: (bytes: Uint8Array, check: Check) => T): T | undefined {
  const problems = new Problems();
  const bytes = readBytes(path, problems);
  const result = bytes && read(bytes, { problems, code: 'ERR_MOBISOCK_POLICY' });
  problems.throwIfAny();
  return result;
}

function readBytes(path: string, problems: Problems): Uint8Array | undefined {
  try {
    // One byte more than allowed shows that the file is too large.
    return readFileStart(path, TABLE_FILE_LIMIT_BYTES + 1);
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    const isMissing = 'code' in error && error.code === 'ENOENT';
    if (!isMissing) problems.add(new Place(path), 'ERR_MOBISOCK_POLICY', `cannot be read: ${error.message}`);
    return undefined;
  }
}

function entriesOf(kernel: KernelLabels | undefined): readonly PolicyEntry[] | undefined {
  return kernel?.labels.map(({ prefix, prefixLength, interfaceName, label }) => ({
    prefix: policyPrefix(prefix, prefixLength),
    interfaceName,
    label,
    precedence: undefined,
  }));
}

function listed(): readonly PolicyEntry[] {
  const entries = readAddrlabelList(listKernelLabels());
  if (entries === undefined) throw new Error('"ip addrlabel list" says something that is not understood');
  return entries;
}
