/**
 * Puts a text in the place of a file as a whole: who reads it meanwhile sees the old text or the new one, and a full
 * disk leaves the old one.
 */
import {
  closeSync,
  fchmodSync,
  fsyncSync,
  openSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';

/** Others may read a new file; an old one's permissions are kept. */
const NEW_FILE_MODE = 0o644;

/** Follows symbolic links. Throws as node's `fs` does. */
export function replaceFile(path: string, text: string): void {
  const { target, mode } = existing(path);
  const fresh = `${target}.new-${process.pid}`;
  const file = openSync(fresh, 'wx', mode);
  try {
    try {
      // Past the umask: an old file's permissions are what somebody chose.
      fchmodSync(file, mode);
      writeFileSync(file, text);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    renameSync(fresh, target);
  } catch (error) {
    rmSync(fresh, { force: true });
    throw error;
  }
}

function existing(path: string): { readonly target: string; readonly mode: number } {
  try {
    const target = realpathSync(path);
    return { target, mode: statSync(target).mode & 0o777 };
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT')
      return { target: path, mode: NEW_FILE_MODE };
    throw error;
  }
}
