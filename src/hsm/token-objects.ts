import { ClockCache } from '../base/clock-cache.js';
import { Turns } from '../base/turns.js';
import { marked, merged } from '../objects/change-marks.js';
import { type HsmObject, kindOf, type VisibleObject } from '../objects/hsm-object.js';
import { classOf, kindRows, type ObjectKind } from '../objects/kinds.js';
import { matches } from '../objects/matching.js';
import { decodeObject, encodeStored, viewOf, visiblePart } from '../objects/record.js';
import type { Attributes } from '../objects/template-validator.js';
import { duplicateId, idClaim, sameIdTemplate } from '../objects/unique-id.js';
import { CKA } from '../pkcs11/attributes.js';
import { ckr } from '../pkcs11/ckr.js';
import { type Template, ulongBytes } from '../pkcs11/template.js';
import type { Change, RecordStore } from '../store/record-store.js';
import { LoadedObject } from './loaded-object.js';
import { handleKey, indexChanges, indexKeys, ObjectIndex } from './object-index.js';
import type { ObjectSummary } from './object-summary.js';
import { DESTROYED, ObjectVersions } from './object-versions.js';
import type { ObjectCounts } from './quotas.js';
import { RecordCache } from './record-cache.js';
import type { Write } from './users.js';

/** Objects kept decoded and parsed. Beyond it one that has not been used for long is read again from the store when needed. */
const CACHED_OBJECTS = 20_000;

const NOTHING = Buffer.alloc(0);

/** One kind per class: objects are counted by class. */
const countedKinds = [...new Map(kindRows.map((row) => [row.objectClass, row.kind])).values()];

const idOf = (object: HsmObject): Buffer | undefined => object.attributes.get(CKA.CKA_ID);

/** An object as a search sees it. */
export interface SeenObject {
  readonly object: VisibleObject;
  readonly kind: ObjectKind;
}

/** What comes of an object and another HSM's state of it: one of the two, or a new object. */
function withBoth(present: HsmObject, other: HsmObject, otherIsNewer: boolean): HsmObject {
  const next = otherIsNewer ? merged(other, present) : merged(present, other);
  return next === other || next === present ? next : { ...next, material: Buffer.from(present.material) };
}

/** What of an object can be replaced; its handle, its owner and its key never are. */
export type ObjectChange = Partial<Pick<HsmObject, 'attributes' | 'sharedWith'>>;

/** The objects of one HSM that outlive sessions, restarts and crashes. */
export class TokenObjects {
  /** What falls out is only forgotten: an operation under way may still use its key, which the addon cleanses when nobody holds it. */
  readonly #cache = new ClockCache<number, LoadedObject>(CACHED_OBJECTS);
  /** What others look like is kept as well: of some 200,000, in 16 MiB at most. */
  readonly #records = new RecordCache(256);
  readonly #index: ObjectIndex;
  /** What the other HSMs are told. */
  readonly versions: ObjectVersions;
  /** Of work on one object: it reads, waits for the disk, and writes. */
  readonly #turns = new Turns<number>();
  /** CKA_IDs on their way to the disk, by class. */
  readonly #claimedIds = new Set<string>();
  readonly #watchers = new Set<(handle: number) => void>();
  /** How many there are of each class. */
  readonly #classCounts = new Map<number, number>();
  #ended = false;

  constructor(
    private readonly store: RecordStore,
    private readonly counts: ObjectCounts,
    digestOf: (object: HsmObject) => Buffer,
    summary?: ObjectSummary,
  ) {
    this.#index = new ObjectIndex(store);
    this.versions = new ObjectVersions(store, digestOf, summary?.versions);
    for (const kind of countedKinds) {
      const objectClass = classOf(kind);
      // Over the keys of the index: no object is read for it.
      const count = summary
        ? (summary.counts.get(objectClass) ?? 0)
        : this.#index.count(CKA.CKA_CLASS, ulongBytes(objectClass));
      this.counts.start(kind, count);
      this.#classCounts.set(objectClass, count);
    }
  }

  /** Lets no object change any more. Resolves, when what is under way has been done, with what the next start begins with. */
  async end(): Promise<ObjectSummary> {
    this.#ended = true;
    this.#index.end();
    await this.#turns.idle();
    return { counts: this.#classCounts, versions: this.versions.kept() };
  }

  #turn<T>(handle: number, work: () => Promise<T>): Promise<T> {
    if (this.#ended) return Promise.reject(ckr('CKR_DEVICE_REMOVED', 'the HSM is ending'));
    return this.#turns.take(handle, work);
  }

  #counted(kind: ObjectKind, change: 1 | -1): void {
    const objectClass = classOf(kind);
    this.#classCounts.set(objectClass, this.#classCounts.get(objectClass)! + change);
  }

  /** Calls back when an object is no longer as it was, or there no longer, until it is told to stop: before whoever changed it is
   * answered. */
  watch(changed: (handle: number) => void): () => void {
    this.#watchers.add(changed);
    return () => void this.#watchers.delete(changed);
  }

  get count(): number {
    let count = 0;
    for (const ofClass of this.#classCounts.values()) count += ofClass;
    return count;
  }

  get(handle: number): LoadedObject | undefined {
    // A CK_ULONG beyond 2^53 is no handle of ours.
    if (!Number.isSafeInteger(handle)) return undefined;
    return this.#cache.get(handle) ?? this.#load(handle);
  }

  #load(handle: number): LoadedObject | undefined {
    const record = this.store.get('objects', handleKey(handle));
    if (record === undefined) return undefined;
    const view = viewOf(record);
    if (view === undefined) return this.#remember(LoadedObject.of(decodeObject(record)));
    this.#records.set(handle, visiblePart(record, view));
    return this.#remember(LoadedObject.ofRecord(record, handle, kindOf(view)));
  }

  /** The object for a search, which looks at little of it: it is decoded only for the second one soon after. */
  seen(handle: number): SeenObject | undefined {
    const cached = this.#cache.get(handle);
    if (cached !== undefined) return cached;
    const visible = this.#records.get(handle) ?? (this.get(handle) && this.#records.get(handle));
    const object = visible && viewOf(visible);
    return object === undefined ? this.get(handle) : { object, kind: kindOf(object) };
  }

  #remember(loaded: LoadedObject): LoadedObject {
    this.#cache.set(loaded.handle, loaded);
    return loaded;
  }

  /** Handles of the objects that may match the template, ascending. */
  candidates(template: Template): Iterable<number> {
    return this.#index.candidates(template);
  }

  /** Resolves when all work that is under way now has been done. */
  idle(): Promise<void> {
    return this.#turns.idle();
  }

  #require(handle: number): LoadedObject {
    const loaded = this.get(handle);
    if (loaded === undefined)
      throw ckr('CKR_OBJECT_HANDLE_INVALID', `object ${handle} was destroyed meanwhile`);
    return loaded;
  }

  async #write(before: HsmObject | undefined, object: HsmObject, write?: Write): Promise<void> {
    const record = encodeStored(object);
    const [old, next] = [before && indexKeys(before), indexKeys(object)];
    const changes: Change[] = [
      ...(old ? indexChanges(old, false) : []),
      { table: 'objects', key: handleKey(object.handle), value: record },
      ...indexChanges(next, true),
    ];
    try {
      await this.versions.write(changes, before, object, write);
    } finally {
      record.fill(0);
    }
    if (old !== undefined) this.#index.note(old, false);
    this.#index.note(next, true);
    this.#records.delete(object.handle);
    this.#remember(LoadedObject.of(object));
    if (before !== undefined) for (const changed of this.#watchers) changed(object.handle);
  }

  /** Whether an object has the claim that these attributes make and is here or on its way, other than `except`. */
  hasClaim(claim: string, attributes: Attributes, except?: number): boolean {
    if (this.#claimedIds.has(claim)) return true;
    const template = sameIdTemplate(attributes);
    for (const handle of this.candidates(template)) {
      const seen = handle === except ? undefined : this.seen(handle);
      if (seen !== undefined && matches(seen.object, template)) return true;
    }
    return false;
  }

  /** Does the work while nobody else can have the object's CKA_ID, where ids are unique. */
  #withOwnId(
    { attributes, handle }: HsmObject,
    uniqueIds: boolean,
    work: () => Promise<void>,
  ): Promise<void> {
    const claim = uniqueIds ? idClaim(attributes) : undefined;
    if (claim === undefined) return work();
    if (this.hasClaim(claim, attributes, handle)) throw duplicateId(attributes);
    this.#claimedIds.add(claim);
    return work().finally(() => this.#claimedIds.delete(claim));
  }

  /** Adds an object, unless it is there exactly so: whether it did. Durable when it resolves, and visible only then. A handle that is or was in use is refused, with
   * CKR_ACTION_PROHIBITED: an old copy must not undo what happened to it since. So are one too many
   * (quotas.ts) and, with `uniqueIds`, one whose CKA_ID is in use. */
  insert(object: HsmObject, uniqueIds = false, write?: Write): Promise<boolean> {
    return this.#turn(object.handle, async () => {
      // Another HSM's copy may have come first.
      if (!this.versions.isUnheardOf(object.handle) && this.#hasOrRefuses(object)) return false;
      const kind = kindOf(object);
      this.counts.take(kind);
      try {
        await this.#withOwnId(object, uniqueIds, () => this.#write(undefined, object, write));
      } catch (error) {
        this.counts.release(kind);
        throw error;
      }
      this.#counted(kind, 1);
      return true;
    });
  }

  /** Whether a new object is here exactly so. Throws CKR_ACTION_PROHIBITED for one that must not come. */
  #hasOrRefuses(object: HsmObject): boolean {
    const { handle, version } = object;
    const isHere = this.get(handle) !== undefined;
    if (isHere && this.versions.has(object)) return true;
    const withdrawn = this.versions.withdrawn(handle)?.version ?? 0;
    if (isHere || this.versions.isBuried(handle) || version <= withdrawn)
      throw ckr('CKR_ACTION_PROHIBITED', `handle ${handle} is or was in use`);
    return false;
  }

  /** Replaces what `change` makes of the object. Durable when it resolves. */
  change(
    handle: number,
    change: (object: HsmObject) => ObjectChange,
    uniqueIds = false,
    write?: Write,
  ): Promise<void> {
    return this.#turn(handle, async () => {
      const { object } = this.#require(handle);
      const material = Buffer.from(object.material);
      const next = { ...object, ...change(object), version: object.version + 1, material };
      const changed = marked(object, next);
      const sameId = idOf(changed)?.equals(idOf(object) ?? NOTHING) ?? true;
      await this.#withOwnId(changed, uniqueIds && !sameId, () => this.#write(object, changed, write));
    });
  }

  /** Removes an object that `check` lets go. Durable when it resolves. Throws CKR_OBJECT_HANDLE_INVALID. */
  remove(handle: number, check: (object: HsmObject) => void, write?: Write): Promise<void> {
    return this.#turn(handle, async () => {
      const loaded = this.#require(handle);
      check(loaded.object);
      await this.#bury(loaded, write);
    });
  }

  async #bury(loaded: LoadedObject, write?: Write): Promise<void> {
    const { handle } = loaded.object;
    const { changes, done } = this.versions.tombstone(handle);
    await this.#erase(loaded, changes, write);
    done();
  }

  async #erase(loaded: LoadedObject, more: readonly Change[], write?: Write): Promise<void> {
    const { object, kind } = loaded;
    const { handle } = object;
    const keys = indexKeys(object);
    const changes: Change[] = [
      { table: 'objects', key: handleKey(handle), value: undefined },
      ...more,
      ...indexChanges(keys, false),
    ];
    await this.versions.write(changes, object, undefined, write);
    this.#index.note(keys, false);
    this.#cache.delete(handle);
    this.#records.delete(handle);
    this.#counted(kind, -1);
    this.counts.release(kind);
    loaded.destroy();
    for (const changed of this.#watchers) changed(handle);
  }

  /** Takes back a new object that not all HSMs took, up to a version: another attempt has a later one. Durable when it resolves. */
  withdraw(handle: number, version?: number, write: Write = (all) => this.store.write(all)): Promise<void> {
    return this.#turn(handle, async () => {
      const present = version === undefined ? this.#require(handle) : this.get(handle);
      const upTo = version ?? present!.object.version;
      const known = this.versions.find(handle);
      if (known?.version === DESTROYED || (known !== undefined && known.version > upTo)) return;
      const { changes, done } = this.versions.withdrawal(handle, upTo);
      if (present === undefined) await write(changes);
      else await this.#erase(present, changes, write);
      done();
    });
  }

  /** Takes over what another HSM has of an object and this one has not: whether there was any. What it was allowed to become there it
   * is here: neither quotas nor unique ids are looked at. */
  adopt(object: HsmObject): Promise<boolean> {
    return this.#turn(object.handle, async () => {
      const isNewer = this.versions.isNewer(object);
      const present = this.get(object.handle)?.object;
      const next = present === undefined ? isNewer && object : withBoth(present, object, isNewer);
      if (next !== object) object.material.fill(0);
      if (next === false || next === present) return false;
      await this.#write(present, next);
      if (present !== undefined) return true;
      const kind = kindOf(object);
      this.counts.start(kind, 1);
      this.#counted(kind, 1);
      return true;
    });
  }

  /** Destroys every key, and leaves no tombstones: the cluster's other HSMs still have them. */
  async zeroise(): Promise<void> {
    for (const handle of [...this.#index.candidates([])]) {
      await this.#turn(handle, async () => {
        const loaded = this.get(handle);
        if (loaded !== undefined) await this.#erase(loaded, []);
      });
    }
  }

  /** Another HSM has destroyed the object. */
  bury(handle: number): Promise<void> {
    return this.#turn(handle, async () => {
      if (this.versions.isBuried(handle)) return;
      const present = this.get(handle);
      if (present !== undefined) {
        await this.#bury(present);
        return;
      }
      const { changes, done } = this.versions.tombstone(handle);
      await this.store.write(changes);
      done();
    });
  }

  /** Every token object, read one at a time. */
  *all(): Iterable<HsmObject> {
    for (const handle of [...this.#index.candidates([])]) {
      const loaded = this.get(handle);
      if (loaded !== undefined) yield loaded.object;
    }
  }
}
