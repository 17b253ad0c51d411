/**
 * Whether laboratories can be built here, found out by trying, and how a test file says so: skipped with the reason,
 * but a failure where CI=true, since there the laboratory is part of the promise.
 */
import { UsageError } from '../../src/core/errors.ts';
import { createLab } from './lab.ts';

export type LabAvailability = { readonly available: true } | { readonly available: false; readonly reason: string };

let known: Promise<LabAvailability> | undefined;

export function labAvailable(): Promise<LabAvailability> {
  known ??= tryLab();
  return known;
}

/**
 * For `describe.skipIf(await labMissing())`: prints the reason once per test file when there is no laboratory. Throws
 * it instead when CI=true.
 */
export async function labMissing(): Promise<boolean> {
  const availability = await labAvailable();
  if (availability.available) return false;
  const message = `no network laboratory here: ${availability.reason}`;
  if (process.env.CI === 'true') throw new UsageError(message, 'ERR_MOBISOCK_ENVIRONMENT');
  console.warn(`tests skipped, ${message}`);
  return true;
}

async function tryLab(): Promise<LabAvailability> {
  try {
    const lab = await createLab();
    await lab.close();
    return { available: true };
  } catch (error) {
    // Anything else is a fault of the laboratory itself, which must not turn into skipped tests.
    if (!(error instanceof UsageError) || error.code !== 'ERR_MOBISOCK_ENVIRONMENT') throw error;
    return { available: false, reason: error.message };
  }
}
