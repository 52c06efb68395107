import fs from 'node:fs';
import { getSystemErrorName } from 'node:util';
import { addonPart } from '../base/addon.js';

/** native/addon/disk/direct-writes.h */
interface NativeDisk {
  write(descriptor: number, bytes: Buffer, position: number, done: (written: number) => void): boolean;
}

const { write } = addonPart<NativeDisk>('disk');
const { O_CREAT, O_DIRECT, O_DSYNC, O_RDWR } = fs.constants;
/** On macOS only an fdatasync reaches the disk, as Node makes it. */
const WRITES_ARE_SYNCED = process.platform === 'linux';

type Written = (error: Error | null) => void;

function systemError(number: number): Error {
  const code = getSystemErrorName(number);
  return Object.assign(new Error(`${code}: write`), { code, errno: number });
}

const tooShort = (written: number, of: number): Error => new Error(`the disk took ${written} of ${of} bytes`);

/** A file whose writes are on disk when they are reported. */
export class SyncedFile {
  readonly #descriptor: number;
  /** For writes past the page cache, where the file system has them. */
  readonly #direct: number | undefined;

  /** Made if need be, for its owner only. */
  constructor(path: string) {
    this.#descriptor = fs.openSync(path, O_RDWR | O_CREAT | O_DSYNC, 0o600);
    this.#direct = directly(path);
  }

  shorten(lengthBytes: number): void {
    fs.ftruncateSync(this.#descriptor, lengthBytes);
  }

  /**
   * Writes whole blocks. What is written over goes to the kernel without a thread that waits for it: its bytes are copied.
   * @param over nothing of it is behind the end of the file
   */
  write(bytes: Buffer, position: number, over: boolean, done: Written): void {
    const length = bytes.length;
    const problemOf = (written: number): Error | null =>
      written < length ? tooShort(written, length) : null;
    const wasWritten = (written: number): void =>
      done(written < 0 ? systemError(written) : problemOf(written));
    if (over && this.#direct !== undefined && write(this.#direct, bytes, position, wasWritten)) return;
    fs.write(this.#descriptor, bytes, 0, length, position, (error, written) => {
      const problem = error ?? problemOf(written);
      if (problem !== null || WRITES_ARE_SYNCED) done(problem);
      else fs.fdatasync(this.#descriptor, done);
    });
  }

  /** Overwrites with zeros, as well as the disk can. */
  clear(position: number, lengthBytes: number, done: () => void): void {
    fs.write(this.#descriptor, Buffer.alloc(lengthBytes), 0, lengthBytes, position, () => done());
  }

  close(): void {
    fs.closeSync(this.#descriptor);
    if (this.#direct !== undefined) fs.closeSync(this.#direct);
  }
}

function directly(path: string): number | undefined {
  if (O_DIRECT === undefined || process.platform !== 'linux') return undefined;
  try {
    return fs.openSync(path, O_RDWR | O_DSYNC | O_DIRECT);
  } catch {
    // Some file systems have no such writes.
    return undefined;
  }
}
