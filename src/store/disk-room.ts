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

/** The disk is looked at again after so long, and after so much has been written. */
const LOOKED_AT_MS = 20;
const LOOKED_AT_BYTES = 64 * 1024;

/** Looking at a disk costs as much as sealing a record: of writes that follow one another closely the first one does. */
export class WritableDisk {
  #freeBytes = 0;
  #tookBytes = 0;
  #untilMs = 0;

  constructor(private readonly directory: string) {}

  /** As `requireWritable`. */
  require(leastFreeBytes: number): void {
    const nowMs = performance.now();
    if (nowMs < this.#untilMs && this.#tookBytes < LOOKED_AT_BYTES && this.#freeBytes >= leastFreeBytes)
      return;
    this.#untilMs = 0;
    this.#freeBytes = requireWritable(this.directory, leastFreeBytes);
    this.#tookBytes = 0;
    this.#untilMs = nowMs + LOOKED_AT_MS;
  }

  took(bytes: number): void {
    this.#tookBytes += bytes;
  }

  hasFailed(): void {
    this.#untilMs = 0;
  }
}
