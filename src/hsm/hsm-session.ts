import type { HsmObject } from '../objects/hsm-object.js';
import { matches } from '../objects/matching.js';
import type { Attributes } from '../objects/template-validator.js';
import { duplicateId, refusesDuplicateIds, sameIdTemplate } from '../objects/unique-id.js';
import { ckr } from '../pkcs11/ckr.js';
import type { Template } from '../pkcs11/template.js';
import { mayChange, maySee } from './access.js';
import type { Hsm } from './hsm.js';
import { LoadedObject } from './loaded-object.js';
import type { Role, User } from './users.js';

/** Enough for the creations that one connection may have under way. */
const REMEMBERED_INSERTS = 64;

/** One connection's state inside an HSM: who is logged in, and its session keys, which end with it. */
export class HsmSession {
  #user: User | undefined;
  readonly #sessionObjects = new Map<number, LoadedObject>();
  /** Token objects that this connection has inserted last: it may still take them back. */
  readonly #inserted = new Set<number>();
  /** Session keys on their way to become token keys. */
  readonly #promoted = new Set<number>();

  constructor(readonly hsm: Hsm) {}

  get user(): User {
    if (this.#user === undefined)
      throw ckr('CKR_USER_NOT_LOGGED_IN', 'nobody is logged in on this connection');
    return this.#user;
  }

  requireRole(role: Role | 'any'): void {
    const { user } = this;
    if (role !== 'any' && user.role !== role)
      throw ckr('CKR_USER_NOT_LOGGED_IN', `the command needs a ${role}`);
  }

  login(user: User): void {
    if (this.#user !== undefined) throw ckr('CKR_USER_ALREADY_LOGGED_IN', `${this.#user.name} is logged in`);
    this.#user = user;
  }

  /** Ends the login, and with it the session keys (v2.40 base, C_Logout: private session objects are destroyed). */
  logout(): void {
    this.#user = undefined;
    for (const handle of this.#sessionObjects.keys()) this.removeSessionObject(handle);
  }

  rememberInsert(handle: number): void {
    this.#inserted.add(handle);
    const [oldest] = this.#inserted;
    if (this.#inserted.size > REMEMBERED_INSERTS) this.#inserted.delete(oldest!);
  }

  forgetInsert(handle: number): boolean {
    return this.#inserted.delete(handle);
  }

  get uniqueIds(): boolean {
    return refusesDuplicateIds(this.hsm.settings.profile);
  }

  /** Refuses a CKA_ID that a token key or one of the connection's session keys has, other than `except`. For token keys this
   * is the early answer: `TokenObjects` decides. Throws CKR_ATTRIBUTE_VALUE_INVALID. */
  requireFreeId(attributes: Attributes, except?: number): void {
    const template = this.uniqueIds ? sameIdTemplate(attributes) : undefined;
    if (template === undefined) return;
    for (const [handle, { object }] of this.#sessionObjects) {
      if (handle !== except && matches(object, template)) throw duplicateId(template);
    }
    if (this.hsm.objects.hasSameId(template, except)) throw duplicateId(template);
  }

  /** Throws CKR_DEVICE_MEMORY when there are too many keys. */
  addSessionObject(object: HsmObject): void {
    const loaded = new LoadedObject(object);
    this.hsm.counts.take(loaded.kind);
    this.#sessionObjects.set(object.handle, loaded);
  }

  replaceSessionObject(object: HsmObject): void {
    this.#sessionObjects.set(object.handle, new LoadedObject(object));
  }

  /** A session key becomes a token key once: CKR_ACTION_PROHIBITED while it does. */
  beginPromotion(handle: number): void {
    if (this.#promoted.has(handle))
      throw ckr('CKR_ACTION_PROHIBITED', `key ${handle} is becoming a token key`);
    this.#promoted.add(handle);
  }

  endPromotion(handle: number): void {
    this.#promoted.delete(handle);
  }

  removeSessionObject(handle: number): boolean {
    this.endPromotion(handle);
    const loaded = this.#sessionObjects.get(handle);
    if (loaded === undefined) return false;
    loaded.destroy();
    this.hsm.counts.release(loaded.kind);
    return this.#sessionObjects.delete(handle);
  }

  #maySee({ object, kind }: LoadedObject): boolean {
    return maySee(this.user, object) && (kind !== 'certificate' || this.hsm.settings.certificateStorage);
  }

  /** The object, if the user may know of it. */
  visible(handle: number): LoadedObject | undefined {
    const loaded = this.#sessionObjects.get(handle) ?? this.hsm.objects.get(handle);
    return loaded && this.#maySee(loaded) ? loaded : undefined;
  }

  /** The object for C_GetAttributeValue and its like. Throws CKR_OBJECT_HANDLE_INVALID. */
  object(handle: number): LoadedObject {
    const loaded = this.visible(handle);
    if (loaded === undefined)
      throw ckr('CKR_OBJECT_HANDLE_INVALID', `${this.user.name} has no object ${handle}`);
    return loaded;
  }

  /** The object, for somebody who is going to change it. Throws CKR_OBJECT_HANDLE_INVALID or
   * CKR_ACTION_PROHIBITED. */
  changeableObject(handle: number): LoadedObject {
    const loaded = this.object(handle);
    if (!mayChange(this.user, loaded.object)) {
      throw ckr('CKR_ACTION_PROHIBITED', `object ${handle} belongs to ${loaded.object.owner}`);
    }
    return loaded;
  }

  /** A token key, whoever owns it, for an admin. Throws CKR_OBJECT_HANDLE_INVALID. */
  anyTokenKey(handle: number): LoadedObject {
    const loaded = this.hsm.objects.get(handle);
    if (loaded === undefined || loaded.kind === 'certificate')
      throw ckr('CKR_OBJECT_HANDLE_INVALID', `there is no token key ${handle}`);
    return loaded;
  }

  /** The object as a key to work with. Throws CKR_KEY_HANDLE_INVALID. */
  key(handle: number): LoadedObject {
    const loaded = this.visible(handle);
    if (loaded === undefined || loaded.kind === 'certificate') {
      throw ckr('CKR_KEY_HANDLE_INVALID', `${this.user.name} has no key ${handle}`);
    }
    return loaded;
  }

  /** Handles of all objects that match, ascending: they tell which came first. */
  find(template: Template): number[] {
    const found: number[] = [];
    for (const [handle, loaded] of this.#sessionObjects) {
      if (this.#maySee(loaded) && matches(loaded.object, template)) found.push(handle);
    }
    for (const handle of this.hsm.objects.candidates(template)) {
      if (this.#sessionObjects.has(handle)) continue;
      const loaded = this.hsm.objects.get(handle);
      if (loaded && this.#maySee(loaded) && matches(loaded.object, template)) found.push(handle);
    }
    return found.sort((a, b) => a - b);
  }
}
