import { limits } from '../base/limits.js';
import type { CertificateSwitch } from '../objects/certificates.js';
import type { Allow, Gate } from '../objects/gate.js';
import type { HsmObject, VisibleObject } from '../objects/hsm-object.js';
import type { ObjectKind } from '../objects/kinds.js';
import { isFoundBy } from '../objects/matching.js';
import type { Attributes } from '../objects/template-validator.js';
import { duplicateIdText, idClaim } from '../objects/unique-id.js';
import { CKA } from '../pkcs11/attributes.js';
import { type CkrName, ckr } from '../pkcs11/ckr.js';
import { findAttribute, type Template, templateBool } from '../pkcs11/template.js';
import { mayChange, maySee } from './access.js';
import type { Hsm } from './hsm.js';
import { LoadedObject } from './loaded-object.js';
import { type Login, mayLoginSend } from './roles.js';
import { SessionObjects } from './session-objects.js';
import type { SeenObject } from './token-objects.js';
import { nameOf } from './user-identity.js';
import type { User } from './user-records.js';

/** Enough for the creations that one connection may have under way. */
const REMEMBERED_INSERTS = 64;
/** An encryption for each session that an application may have. */
const REMEMBERED_IVS = limits.sessionsPerApplication;

/** What is allowed on a connection: the HSM's setting, or in its place the client's. */
export interface SessionOptions {
  readonly certificateStorage: CertificateSwitch;
  readonly ecdhWithoutKdf: boolean;
  /** It is a client of SDK 3, whose documents wrap with session keys: that CloudHSM refuses those was seen with SDK 5 only, whose
   * library asks another HSM than that which has the key [guess]. */
  readonly sessionWrappingKeys: boolean;
}

/** One connection's state inside an HSM: who is logged in, and its session keys, which end with it. */
export class HsmSession {
  #user: User | undefined;
  #closed = false;
  #challenge: Buffer | undefined;
  readonly #sessionObjects = new SessionObjects();
  /** Token objects that this connection has inserted last: it may still take them back. */
  readonly #inserted = new Set<number>();
  /** IVs that the HSM has made and nobody has used. */
  readonly #ivs = new Set<string>();
  /** Session keys on their way to become token keys. */
  readonly #promoted = new Set<number>();
  /** How often each was to become one. */
  readonly #promotions = new Map<number, number>();

  constructor(
    readonly hsm: Hsm,
    readonly gate: Gate,
    /** The connection in the audit log. */
    readonly handle: number,
    readonly options: SessionOptions,
    /** The certificates by which its client has shown who it is, DER, its own first. */
    readonly presented?: readonly Buffer[] | undefined,
  ) {}

  /** Remembers what the client is to sign: for one signature. */
  giveChallenge(challenge: Buffer): Buffer {
    // A copy: what is answered is cleansed when it has left.
    this.#challenge = Buffer.from(challenge);
    return challenge;
  }

  takeChallenge(): Buffer | undefined {
    const challenge = this.#challenge;
    this.#challenge = undefined;
    return challenge;
  }

  get loggedIn(): boolean {
    return this.#user !== undefined;
  }

  get user(): User {
    if (this.#user === undefined)
      throw ckr('CKR_USER_NOT_LOGGED_IN', 'nobody is logged in on this connection');
    return this.#user;
  }

  /** It is another HSM of the cluster. */
  get isPeer(): boolean {
    return this.#user?.role === 'AU';
  }

  /** Throws CKR_USER_NOT_LOGGED_IN unless somebody is who may send such commands. */
  requireLogin(login: Login): void {
    const { role } = this.user;
    if (role !== login && !mayLoginSend(role, login))
      throw ckr('CKR_USER_NOT_LOGGED_IN', `a ${role} may not send this command`);
  }

  login(user: User): void {
    if (this.#closed) throw ckr('CKR_DEVICE_REMOVED', 'the connection was closed meanwhile');
    if (this.#user !== undefined) throw ckr('CKR_USER_ALREADY_LOGGED_IN', `${this.#user.name} is logged in`);
    this.#user = user;
    this.hsm.logins.add(user, this);
  }

  /** The role of whoever is logged in here may have changed. */
  identityChanged(user: User): void {
    if (this.#user?.id === user.id) this.#user = user;
  }

  /** Ends the login, and with it the session keys (v2.40 base, C_Logout: private session objects are destroyed). */
  logout(): void {
    this.hsm.leases.recall();
    if (this.#user !== undefined) this.hsm.logins.remove(this.#user, this);
    this.#user = undefined;
    this.hsm.quorum.forget(this);
    for (const handle of this.#sessionObjects.handles()) this.removeSessionObject(handle);
  }

  get closed(): boolean {
    return this.#closed;
  }

  close(): void {
    this.#closed = true;
    this.logout();
    this.hsm.leases.forget(this);
  }

  rememberInsert(handle: number): void {
    this.#inserted.add(handle);
    const [oldest] = this.#inserted;
    if (this.#inserted.size > REMEMBERED_INSERTS) this.#inserted.delete(oldest!);
  }

  forgetInsert(handle: number): boolean {
    return this.#inserted.delete(handle);
  }

  /** Asks about a CKA_ID that a token key or one of the connection's session keys has, unless it is the object's own from
   * `before`. For token keys this is the early answer: where ids are unique, `TokenObjects` decides. */
  requireFreeId(attributes: Attributes, allow: Allow, before?: HsmObject): void {
    const claim = idClaim(attributes);
    if (claim === undefined || (before !== undefined && idClaim(before.attributes) === claim)) return;
    if (this.#sessionObjects.hasClaim(claim) || this.hsm.objects.hasClaim(claim, attributes))
      allow('duplicate-id', duplicateIdText(attributes));
  }

  /** Asks whether the HSM keeps certificates. Throws CKR_TEMPLATE_INCONSISTENT. */
  requireCertificateStorage(allow: Allow): void {
    const { certificateStorage } = this.options;
    if (certificateStorage === 'off')
      throw ckr('CKR_TEMPLATE_INCONSISTENT', 'the cluster stores no certificates: see certificateStorage');
    if (certificateStorage === 'unstated') allow('certificate-storage', 'certificateStorage is not set');
  }

  /** Where nobody has stated the switch, certificates are there for whom the profile lets have them. */
  get #showsCertificates(): boolean {
    const { certificateStorage } = this.options;
    return certificateStorage === 'on' || (certificateStorage === 'unstated' && !this.gate.refuses);
  }

  /** Only where another IV would be refused: nobody asks otherwise. */
  rememberIv(iv: Buffer): void {
    if (!this.gate.refuses) return;
    this.#ivs.add(iv.toString('latin1'));
    const [oldest] = this.#ivs;
    if (this.#ivs.size > REMEMBERED_IVS) this.#ivs.delete(oldest!);
  }

  /** Asks about an IV that is not one of this HSM's, made for this connection and not used yet. */
  requireOwnIv(iv: Buffer): void {
    if (!this.gate.refuses || this.#ivs.delete(iv.toString('latin1'))) return;
    this.gate.allow('gcm-caller-iv', undefined, 'the IV is not of the HSM');
  }

  /** Throws CKR_DEVICE_MEMORY when there are too many keys. */
  addSessionObject(loaded: LoadedObject): void {
    this.hsm.counts.take(loaded.kind);
    if (loaded.kind !== 'certificate') this.hsm.counts.sessionKeys++;
    this.#sessionObjects.set(loaded);
  }

  replaceSessionObject(object: HsmObject): void {
    this.#sessionObjects.set(LoadedObject.of(object));
  }

  /** A session key becomes a token key once: CKR_ACTION_PROHIBITED while it does. The number of the attempt is the token key's
   * version: what is left of an earlier one is older. */
  beginPromotion(handle: number): number {
    if (this.#promoted.has(handle))
      throw ckr('CKR_ACTION_PROHIBITED', `key ${handle} is becoming a token key`);
    this.#promoted.add(handle);
    const attempt = (this.#promotions.get(handle) ?? 0) + 1;
    this.#promotions.set(handle, attempt);
    return attempt;
  }

  endPromotion(handle: number): void {
    this.#promoted.delete(handle);
  }

  hasSessionObject(handle: number): boolean {
    return this.#sessionObjects.has(handle);
  }

  handleOfMasked(masked: Buffer): number {
    const { handle, material } = this.hsm.maskingKey.unmask(masked);
    material.fill(0);
    return handle;
  }

  removeSessionObject(handle: number): boolean {
    this.endPromotion(handle);
    this.#promotions.delete(handle);
    const loaded = this.#sessionObjects.get(handle);
    if (loaded === undefined) return false;
    loaded.destroy();
    this.hsm.counts.release(loaded.kind);
    if (loaded.kind !== 'certificate') this.hsm.counts.sessionKeys--;
    return this.#sessionObjects.delete(handle);
  }

  #maySee(object: VisibleObject, kind: ObjectKind): boolean {
    return maySee(this.user, object) && (kind !== 'certificate' || this.#showsCertificates);
  }

  /** The object, if the user may know of it. */
  visible(handle: number): LoadedObject | undefined {
    const loaded = this.#sessionObjects.get(handle) ?? this.hsm.objects.get(handle);
    return loaded && this.#maySee(loaded.visible, loaded.kind) ? loaded : undefined;
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
    if (!mayChange(this.user, loaded.visible)) {
      throw ckr('CKR_ACTION_PROHIBITED', `object ${handle} belongs to ${nameOf(loaded.visible.owner)}`);
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

  /** The object as a key to work with. Throws CKR_KEY_HANDLE_INVALID, or another code. */
  key(handle: number, code: CkrName = 'CKR_KEY_HANDLE_INVALID'): LoadedObject {
    const loaded = this.visible(handle);
    if (loaded === undefined || loaded.kind === 'certificate') {
      throw ckr(code, `${this.user.name} has no key ${handle}`);
    }
    return loaded;
  }

  /** Handles of all objects that match, ascending: they tell which came first. */
  find(template: Template, cause: string | undefined): number[] {
    // The tools, which have no cause, search as they like.
    if (cause !== undefined) this.#allowSearch(template, cause);
    const found: SeenObject[] = [];
    const finds = (seen: SeenObject): boolean =>
      this.#maySee(seen.object, seen.kind) && isFoundBy(template, seen.object, seen.kind, !this.gate.refuses);
    for (const loaded of this.#sessionObjects.values()) if (finds(loaded)) found.push(loaded);
    for (const handle of this.hsm.objects.candidates(template)) {
      if (this.#sessionObjects.has(handle)) continue;
      const seen = this.hsm.objects.seen(handle);
      if (seen && finds(seen)) found.push(seen);
    }
    return this.#asCloudHsmFinds(found, template, cause)
      .map(({ object }) => object.handle)
      .sort((a, b) => a - b);
  }

  /** Throws what CloudHSM answers to a search. */
  #allowSearch(template: Template, cause: string): void {
    if (findAttribute(template, CKA.CKA_LABEL)?.value.length === 0)
      this.gate.allow('search-empty-label', cause, 'an empty CKA_LABEL');
    if (this.options.certificateStorage !== 'on' && findAttribute(template, CKA.CKA_CERTIFICATE_TYPE))
      this.gate.allow('search-certificate-type', cause, 'CKA_CERTIFICATE_TYPE');
  }

  /** Without what CloudHSM would not have found, if that is refused. */
  #asCloudHsmFinds(
    found: readonly SeenObject[],
    template: Template,
    cause: string | undefined,
  ): readonly SeenObject[] {
    const isKey = ({ kind }: SeenObject): boolean => kind !== 'certificate';
    if (this.options.certificateStorage === 'unstated' && !found.every(isKey)) {
      this.gate.permits('certificate-storage', cause);
    }
    // "CKA_PRIVATE=FALSE in a search template finds no keys" (reference section 13).
    const wantsPublic = templateBool(template, CKA.CKA_PRIVATE, true) === false && found.some(isKey);
    return wantsPublic && !this.gate.permits('search-private-false', cause)
      ? found.filter((seen) => !isKey(seen))
      : found;
  }
}
