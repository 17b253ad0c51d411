/** Policy tables as files: whatever is in them, there is a table or an error that names the file, and nothing else. */
import { expect, it } from 'vitest';
import { RFC_6724_ENTRIES } from '../../src/addrsel/default-tables.ts';
import { readGaiConf, writeGaiConf } from '../../src/addrsel/gai-conf.ts';
import { readPolicyJson, writePolicyJson } from '../../src/addrsel/policy-json.ts';
import { ENTRY_LIMIT, PolicyTable } from '../../src/addrsel/policy-table.ts';
import { UsageError } from '../../src/core/errors.ts';
import { type Check, Problems } from '../../src/core/shape.ts';
import { SeededRandom } from '../sim/seeded-random.ts';
import { mutation } from './mutations.ts';

const ROUNDS = 5000;
/** Of both forms. */
const CHARACTERS = Buffer.from('0123456789abcdef:/#"{}[], \n');
const table = new PolicyTable(RFC_6724_ENTRIES);
const FORMS = {
  'gai.conf': {
    text: writeGaiConf({ table, reload: true }),
    read: (bytes: Uint8Array, check: Check) => readGaiConf('the file', bytes, check).table,
  },
  JSON: {
    text: writePolicyJson(table),
    read: (bytes: Uint8Array, check: Check) => readPolicyJson('the file', bytes, check),
  },
};

it.each(Object.entries(FORMS))('%s, changed anywhere', (_name, { text, read }) => {
  const seeds = [Buffer.from(text)];
  const outcomes = { table: 0, error: 0 };
  for (let seed = 1; seed <= ROUNDS; seed++) {
    const random = new SeededRandom(seed);
    const bytes = mutation(random, seeds, 3, (own, at) => {
      own[at] = random.pick([...CHARACTERS]);
    });
    const problems = new Problems();
    const result = read(bytes, { problems, code: 'ERR_MOBISOCK_POLICY' });
    expect(result.entries.length, `seed ${seed}`).toBeLessThanOrEqual(ENTRY_LIMIT);
    try {
      problems.throwIfAny();
      outcomes.table++;
    } catch (error) {
      if (!(error instanceof UsageError)) throw error;
      expect(error.message, `seed ${seed}`).toContain('the file');
      outcomes.error++;
    }
  }
  expect(outcomes.table, JSON.stringify(outcomes)).toBeGreaterThan(10);
  expect(outcomes.error, JSON.stringify(outcomes)).toBeGreaterThan(10);
});
