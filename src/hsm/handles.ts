import { limits } from '../base/limits.js';
import { randomBytes } from '../crypto/index.js';
import type { Change, RecordStore } from '../store/record-store.js';
import { Reader, Writer } from '../wire/bytes.js';
import { settingKey } from './setting-rows.js';

/**
 * Handles: one number space per cluster, never used twice, not even after a restart.
 *
 *   handle = counter × stride + ordinal of the HSM that made the object
 *
 * so HSMs hand out handles without asking each other. Counters are reserved on disk in blocks: a restart begins with
 * the next block and skips what may have been used of the last one.
 */
const STRIDE = 64;
const BLOCK = 65_536;
const SETTING = settingKey('handles-reserved');

/** The counter that a handle was made of. */
export const counterOf = (handle: number): number => Math.floor(handle / STRIDE);

export function reservedChange(reserved: number): Change {
  const writer = new Writer(8);
  writer.u64(reserved);
  return { table: 'settings', key: SETTING, value: writer.finish() };
}

/**
 * Where an HSM goes on counting that was given content in which all counters up to `last` may have been used, by whichever HSM. What was
 * made after that content was saved nobody knows here: a leap of some blocks keeps HSMs of the same ordinal apart, in this
 * cluster and in clones.
 */
export function counterAfterRestore(last: number): number {
  const leapBlocks = 1 + randomBytes(2).readUInt16BE();
  return (Math.ceil((last + 1) / BLOCK) + leapBlocks) * BLOCK;
}

export class HandleAllocator {
  #next: number;
  #reserved: number;
  #reserving: Promise<void> | undefined;

  private constructor(
    private readonly store: RecordStore,
    private readonly ordinal: number,
    reserved: number,
  ) {
    this.#next = reserved;
    this.#reserved = reserved;
  }

  /** `ordinal`: the HSM's place in its cluster, from 1. Reserves the first block before it returns. */
  static async open(store: RecordStore, ordinal: number): Promise<HandleAllocator> {
    if (ordinal < 1 || ordinal > Math.min(limits.hsmsPerCluster, STRIDE - 1))
      throw new RangeError(`HSM ${ordinal}`);
    const record = store.get('settings', SETTING);
    const allocator = new HandleAllocator(
      store,
      ordinal,
      record === undefined ? 1 : new Reader(record).u64(),
    );
    await allocator.#reserve();
    return allocator;
  }

  async #reserve(): Promise<void> {
    const reserved = Math.max(this.#reserved, this.#next) + BLOCK;
    await this.store.write([reservedChange(reserved)]);
    this.#reserved = reserved;
  }

  /** A handle nobody had before. Waits for the disk once in 65,536 times. */
  async #allocateLater(): Promise<number> {
    while (this.#next >= this.#reserved) {
      this.#reserving ??= this.#reserve().finally(() => {
        this.#reserving = undefined;
      });
      await this.#reserving;
    }
    return this.allocate();
  }

  /** Whether a handle is one that this HSM gave. */
  gave(handle: number): boolean {
    return handle % STRIDE === this.ordinal;
  }

  /** Gives no handle up to one that it turns out to have given: its store may have been put back to an earlier state. */
  passBy(handle: number): void {
    if (this.gave(handle)) this.#next = Math.max(this.#next, counterOf(handle) + 1);
  }

  allocate(): number | Promise<number> {
    if (this.#next >= this.#reserved) return this.#allocateLater();
    return this.#next++ * STRIDE + this.ordinal;
  }
}
