import type { HsmObject } from '../objects/hsm-object.js';
import { decodeObject, encodeObject } from '../objects/record.js';
import type { Template } from '../pkcs11/template.js';
import type { RecordStore } from '../store/record-store.js';
import { LoadedObject } from './loaded-object.js';
import { candidates, handleKey, indexChanges } from './object-index.js';

/** Objects kept decoded and parsed. Beyond it the longest unused one is read again from the store when needed. */
const CACHED_OBJECTS = 20_000;

/** The objects of one HSM that outlive sessions, restarts and crashes. */
export class TokenObjects {
  /** In the order of last use: a Map iterates in the order of insertion. */
  readonly #cache = new Map<number, LoadedObject>();
  #count: number;

  constructor(private readonly store: RecordStore) {
    this.#count = [...store.keys('objects')].length;
  }

  get count(): number {
    return this.#count;
  }

  get(handle: number): LoadedObject | undefined {
    const cached = this.#cache.get(handle);
    if (cached !== undefined) {
      this.#cache.delete(handle);
      this.#cache.set(handle, cached);
      return cached;
    }
    const record = this.store.get('objects', handleKey(handle));
    if (record === undefined) return undefined;
    const loaded = new LoadedObject(decodeObject(record));
    record.fill(0);
    this.#remember(loaded);
    return loaded;
  }

  #remember(loaded: LoadedObject): void {
    this.#cache.set(loaded.object.handle, loaded);
    if (this.#cache.size <= CACHED_OBJECTS) return;
    const [oldest] = this.#cache.keys();
    // Only forgotten: an operation under way may still use its key, which the addon cleanses when nobody holds it.
    this.#cache.delete(oldest!);
  }

  /** Handles of the objects that may match the template, ascending. */
  candidates(template: Template): Iterable<number> {
    return candidates(this.store, template);
  }

  /** Durable when it resolves, and visible only then. An object under the same handle is replaced. */
  async put(object: HsmObject): Promise<void> {
    const before = this.get(object.handle);
    const record = encodeObject(object);
    await this.store.write([
      ...(before ? indexChanges(before.object, false) : []),
      { table: 'objects', key: handleKey(object.handle), value: record },
      ...indexChanges(object, true),
    ]);
    record.fill(0);
    if (before === undefined) this.#count++;
    this.#remember(new LoadedObject(object));
  }

  /** Removes the object; false if there was none. The removal is durable when it resolves. */
  async remove(handle: number): Promise<boolean> {
    const loaded = this.get(handle);
    if (loaded === undefined) return false;
    await this.store.write([
      { table: 'objects', key: handleKey(handle), value: undefined },
      ...indexChanges(loaded.object, false),
    ]);
    if (loaded.gone) return false;
    this.#cache.delete(handle);
    this.#count--;
    loaded.destroy();
    return true;
  }
}
