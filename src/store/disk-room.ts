import { statfsSync, utimesSync } from 'node:fs';
import { constants } from 'node:os';
import { Failure } from '../base/errors.js';

export const readOnly = (cause: unknown): Failure =>
  new Failure('CKR_TOKEN_WRITE_PROTECTED', 'the disk of the HSM has become read-only', { cause });

/** A write that the system has refused: node names the error, lmdb numbers it. */
export function notWritten(said: unknown): Failure {
  const code = (said as { code?: unknown } | undefined)?.code;
  return code === 'EROFS' || code === constants.errno.EROFS
    ? readOnly(said)
    : new Failure('CKR_DEVICE_MEMORY', 'the record could not be written to disk', { cause: said });
}

/**
 * A disk that will not take a write is found before: where the system refuses a page, lmdb 3.5.6 writes its message behind the
 * memory it has for it (`last_error` in its mdb.c), which can end the engine.
 * @returns how many bytes are free
 * @throws CKR_TOKEN_WRITE_PROTECTED, CKR_DEVICE_MEMORY
 */
export function requireWritable(directory: string, leastFreeBytes: number): number {
  const now = new Date();
  try {
    utimesSync(directory, now, now);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EROFS') throw readOnly(error);
  }
  const { bavail, bsize } = statfsSync(directory);
  if (bavail * bsize >= leastFreeBytes) return bavail * bsize;
  const text = `the disk of the HSM is full: less than ${Math.ceil(leastFreeBytes / 1024)} KiB are free in ${directory}`;
  throw new Failure('CKR_DEVICE_MEMORY', text);
}
