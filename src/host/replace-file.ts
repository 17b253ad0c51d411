/**
 * Puts a text in the place of a file as a whole: who reads it meanwhile sees the old text or the new one, a crash leaves
 * one of the two, and a full disk the old one.
 */
import { open, realpath, rename, rm, stat } from 'node:fs/promises';
import { dirname } from 'node:path';

/** Others may read a new file; an old one's permissions are kept. */
const NEW_FILE_MODE = 0o644;

export interface Replacement {
  readonly text: string;
  readonly mode: number;
  /**
   * Where it is written first, in the same directory. What a crash has left there is overwritten; two processes that
   * replace the file at the same time need two.
   */
  readonly fresh: string;
}

/** A file that somebody else may have made: follows symbolic links, keeps permissions. Rejects as node's `fs` does. */
export async function replaceFile(path: string, text: string): Promise<void> {
  const { target, mode } = await existing(path);
  await putFile(target, { text, mode, fresh: `${target}.new-${process.pid}` });
}

/** A file of our own. A symbolic link is replaced by it. Rejects as node's `fs` does. */
export async function putFile(target: string, { text, mode, fresh }: Replacement): Promise<void> {
  try {
    await rm(fresh, { force: true });
    const file = await open(fresh, 'wx', mode);
    try {
      // Past the umask: an old file's permissions are what somebody chose.
      await file.chmod(mode);
      await file.writeFile(text);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(fresh, target);
  } catch (error) {
    await rm(fresh, { force: true }).catch(() => {}); // the first error is what is told
    throw error;
  }
  await syncDirectory(dirname(target));
}

/** After a power cut the new name is there too. */
async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

async function existing(path: string): Promise<{ readonly target: string; readonly mode: number }> {
  try {
    const target = await realpath(path);
    return { target, mode: (await stat(target)).mode & 0o777 };
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT')
      return { target: path, mode: NEW_FILE_MODE };
    throw error;
  }
}
