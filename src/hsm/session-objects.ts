import type { LoadedObject } from './loaded-object.js';

/** The session objects of one connection, by handle, and how many of them have each CKA_ID: programs make thousands of keys. */
export class SessionObjects {
  readonly #objects = new Map<number, LoadedObject>();
  readonly #ids = new Map<string, number>();

  get(handle: number): LoadedObject | undefined {
    return this.#objects.get(handle);
  }

  has(handle: number): boolean {
    return this.#objects.has(handle);
  }

  handles(): Iterable<number> {
    return this.#objects.keys();
  }

  values(): Iterable<LoadedObject> {
    return this.#objects.values();
  }

  /** Adds an object, or replaces the one that had its handle. */
  set(loaded: LoadedObject): void {
    const before = this.#objects.get(loaded.handle);
    if (before !== undefined) this.#countId(before, -1);
    this.#objects.set(loaded.handle, loaded);
    this.#countId(loaded, 1);
  }

  /** Removes an object: whether it was there. Its key is not destroyed. */
  delete(handle: number): boolean {
    const loaded = this.#objects.get(handle);
    if (loaded === undefined) return false;
    this.#countId(loaded, -1);
    return this.#objects.delete(handle);
  }

  /** Whether an object has this claim (src/objects/unique-id.ts). */
  hasClaim(claim: string): boolean {
    return this.#ids.has(claim);
  }

  #countId({ idClaim }: LoadedObject, difference: number): void {
    if (idClaim === undefined) return;
    const count = (this.#ids.get(idClaim) ?? 0) + difference;
    if (count > 0) this.#ids.set(idClaim, count);
    else this.#ids.delete(idClaim);
  }
}
