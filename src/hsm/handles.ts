import { limits } from '../base/limits.js';
import type { RecordStore } from '../store/record-store.js';
import { Reader, Writer } from '../wire/bytes.js';

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
const SETTING = Buffer.from('handles-reserved');

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
    const reserved = this.#reserved + BLOCK;
    const writer = new Writer(8);
    writer.u64(reserved);
    await this.store.write([{ table: 'settings', key: SETTING, value: writer.finish() }]);
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

  allocate(): number | Promise<number> {
    if (this.#next >= this.#reserved) return this.#allocateLater();
    return this.#next++ * STRIDE + this.ordinal;
  }
}
