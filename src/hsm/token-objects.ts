import type { HsmObject } from '../objects/hsm-object.js';
import { decodeObject, encodeObject } from '../objects/record.js';
import { ckr } from '../pkcs11/ckr.js';
import type { Template } from '../pkcs11/template.js';
import type { RecordStore } from '../store/record-store.js';
import { LoadedObject } from './loaded-object.js';
import { candidates, handleKey, indexChanges } from './object-index.js';

/** Objects kept decoded and parsed. Beyond it the longest unused one is read again from the store when needed. */
const CACHED_OBJECTS = 20_000;
/** Nobody needs to know the order of last use while there is room for many more. */
const ORDERED_ABOVE = CACHED_OBJECTS / 2;

/** What of an object can be replaced; its handle, its owner and its key never are. */
export type ObjectChange = Partial<Pick<HsmObject, 'attributes' | 'sharedWith'>>;

/** The objects of one HSM that outlive sessions, restarts and crashes. */
export class TokenObjects {
  /** In the order of last use once it has filled up: a Map iterates in the order of insertion. */
  readonly #cache = new Map<number, LoadedObject>();
  readonly #turns = new Map<number, Promise<unknown>>();
  #count: number;

  constructor(private readonly store: RecordStore) {
    this.#count = [...store.keys('objects')].length;
  }

  get count(): number {
    return this.#count;
  }

  get(handle: number): LoadedObject | undefined {
    // A CK_ULONG beyond 2^53 is no handle of ours.
    if (!Number.isSafeInteger(handle)) return undefined;
    const cached = this.#cache.get(handle);
    if (cached !== undefined) {
      if (this.#cache.size > ORDERED_ABOVE) this.#moveToEnd(handle, cached);
      return cached;
    }
    const record = this.store.get('objects', handleKey(handle));
    if (record === undefined) return undefined;
    const loaded = new LoadedObject(decodeObject(record));
    record.fill(0);
    this.#remember(loaded);
    return loaded;
  }

  #moveToEnd(handle: number, loaded: LoadedObject): void {
    this.#cache.delete(handle);
    this.#cache.set(handle, loaded);
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

  /** Work on one object waits for the work on it that came before: it reads, waits for the disk, and writes. */
  #inTurn<T>(handle: number, work: () => Promise<T>): Promise<T> {
    const before = this.#turns.get(handle) ?? Promise.resolve();
    const turn = before.catch(() => undefined).then(work);
    this.#turns.set(handle, turn);
    const forget = (): void => {
      if (this.#turns.get(handle) === turn) this.#turns.delete(handle);
    };
    turn.then(forget, forget);
    return turn;
  }

  #require(handle: number): LoadedObject {
    const loaded = this.get(handle);
    if (loaded === undefined)
      throw ckr('CKR_OBJECT_HANDLE_INVALID', `object ${handle} was destroyed meanwhile`);
    return loaded;
  }

  async #write(before: HsmObject | undefined, object: HsmObject): Promise<void> {
    const record = encodeObject(object);
    await this.store.write([
      ...(before ? indexChanges(before, false) : []),
      { table: 'objects', key: handleKey(object.handle), value: record },
      ...indexChanges(object, true),
    ]);
    record.fill(0);
    this.#remember(new LoadedObject(object));
  }

  /** Adds an object. Durable when it resolves, and visible only then. A handle that is or was in use is refused, with
   * CKR_ACTION_PROHIBITED: an old copy of an object must not undo what happened to it since. */
  insert(object: HsmObject): Promise<void> {
    return this.#inTurn(object.handle, async () => {
      const { handle } = object;
      if (this.get(handle) !== undefined || this.store.get('tombstones', handleKey(handle)) !== undefined) {
        throw ckr('CKR_ACTION_PROHIBITED', `handle ${handle} is or was in use`);
      }
      await this.#write(undefined, object);
      this.#count++;
    });
  }

  /** Replaces what `change` makes of the object. Durable when it resolves. */
  change(handle: number, change: (object: HsmObject) => ObjectChange): Promise<void> {
    return this.#inTurn(handle, async () => {
      const { object } = this.#require(handle);
      const material = Buffer.from(object.material);
      await this.#write(object, { ...object, ...change(object), material });
    });
  }

  /** Removes an object that `check` lets go. Durable when it resolves. Throws CKR_OBJECT_HANDLE_INVALID. */
  remove(handle: number, check: (object: HsmObject) => void): Promise<void> {
    return this.#inTurn(handle, async () => {
      const loaded = this.#require(handle);
      check(loaded.object);
      await this.store.write([
        { table: 'objects', key: handleKey(handle), value: undefined },
        { table: 'tombstones', key: handleKey(handle), value: Buffer.alloc(0) },
        ...indexChanges(loaded.object, false),
      ]);
      this.#cache.delete(handle);
      this.#count--;
      loaded.destroy();
    });
  }
}
