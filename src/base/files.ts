import {
  closeSync,
  constants,
  fstatSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { open } from 'node:fs/promises';
import { dirname } from 'node:path';

/** Writes a file that only its owner reads, as `writeWholeFile` does. */
export function writePrivateFile(path: string, contents: string | Uint8Array): void {
  writeWholeFile(path, contents, 0o600);
}

/**
 * Makes a folder, and those that it is in, each of which is on disk then: a file in it, once synced, is found after a crash. Node's own way
 * does not end where folders cannot be made at all, as in /proc.
 */
export function makeFolder(path: string, mode: number): void {
  const made = (): boolean => {
    try {
      mkdirSync(path, { mode });
      syncFolder(dirname(path));
      return true;
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'EEXIST' && statSync(path).isDirectory()) return true;
      if (code === 'ENOENT' && dirname(path) !== path) return false;
      throw error;
    }
  };
  if (made()) return;
  makeFolder(dirname(path), mode);
  if (!made()) throw new Error(`${path} cannot be made: folders cannot be made there`);
}

/** Writes a file so that a crash leaves the old one or the new one whole: synced, renamed into place. */
export function writeWholeFile(path: string, contents: string | Uint8Array, mode: number): void {
  makeFolder(dirname(path), 0o700);
  const temporary = `${path}.new`;
  const file = openSync(temporary, 'w', mode);
  try {
    writeFileSync(file, contents);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  renameSync(temporary, path);
  syncFolder(dirname(path));
}

/** Moves a file or a folder: after a crash it is here or there, and once this has returned it is there. */
export function moveWhole(from: string, to: string): void {
  renameSync(from, to);
  syncFolder(dirname(to));
  if (dirname(from) !== dirname(to)) syncFolder(dirname(from));
}

const isForbidden = (error: unknown): boolean => (error as NodeJS.ErrnoException).code === 'EACCES';

/** The same as `syncFolder`; others get their turn while the disk works. */
export async function syncFolderMeanwhile(path: string): Promise<void> {
  const folder = await open(path, 'r').catch((error: unknown) => {
    if (isForbidden(error)) return undefined;
    throw error;
  });
  await folder?.sync().finally(() => folder.close());
}

/** What has been made, renamed or removed in a folder is on disk. In a folder that may not be read nobody can ask for that. */
export function syncFolder(path: string): void {
  let folder: number;
  try {
    folder = openSync(path, 'r');
  } catch (error) {
    if (isForbidden(error)) return;
    throw error;
  }
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}

/** The file's bytes, or undefined if there is none. */
export function readFileIfPresent(path: string): Buffer | undefined {
  try {
    return readFileSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/**
 * The bytes of a file that somebody else names, or undefined if there is none. Neither a pipe nor a file without end
 * holds the engine up.
 * @throws Error for what is no regular file or has more than `maxBytes`
 */
export function readForeignFile(path: string, maxBytes: number): Buffer | undefined {
  let file: number;
  try {
    file = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '')) return undefined;
    throw error;
  }
  try {
    const status = fstatSync(file);
    if (!status.isFile()) throw new Error('it is no regular file');
    if (status.size > maxBytes) throw new Error(`it has ${status.size} bytes, and may have ${maxBytes}`);
    return readFileSync(file);
  } finally {
    closeSync(file);
  }
}
