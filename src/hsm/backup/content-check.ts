import * as z from 'zod';
import type { HsmType } from '../../base/cluster-kind.js';
import { describeError } from '../../base/errors.js';
import { type HsmObject, isTokenObject, kindOf } from '../../objects/hsm-object.js';
import { decodeObject } from '../../objects/record.js';
import { SEALING_KEY_BYTES } from '../../store/sealing.js';
import { Reader } from '../../wire/bytes.js';
import { certifies } from '../cluster-identity.js';
import { counterOf } from '../handles.js';
import { isMutualTlsSetting } from '../mutual-tls.js';
import { handleKey } from '../object-index.js';
import { handleIn } from '../object-versions.js';
import { ObjectCounts, type Quota, quotas } from '../quotas.js';
import { roles } from '../roles.js';
import { isSettingName, type SettingName, settingRows } from '../setting-rows.js';
import { identityOf } from '../user-identity.js';
import { canonicalName, userRules } from '../user-rules.js';
import type { ContentRecord } from './content.js';

/** A user as records have it; what is not named here is kept as it is. */
const userSchema = z.looseObject({
  id: z.number().int().min(1),
  name: z.string(),
  role: z.enum(roles as [string, ...string[]]),
  wrongPasswords: z.number().int().min(0),
  passwordHash: z.string().optional(),
  publicKey: z.string().optional(),
  secondFactor: z.literal(true).optional(),
  generation: z.number().int().min(0).max(0xffff_ffff).optional(),
});

/** A handle, and with the version up to which its object is withdrawn. */
const HANDLE_BYTES = 8;
const WITHDRAWAL_BYTES = 12;

/** What is wrong with it is not told: it holds a password's hash. */
function parseUser(value: Buffer): z.infer<typeof userSchema> {
  try {
    return userSchema.parse(JSON.parse(value.toString('utf8')));
  } catch {
    throw new Error('a user is malformed');
  }
}

/** What a record turned out to be. */
export interface CheckedRecord extends ContentRecord {
  readonly object?: HsmObject;
}

/**
 * What holds for the content of every HSM. Whoever restores a backup looks at it before anything takes effect, and whoever makes one
 * before there is any: no backup is kept that no HSM would take. Errors name no secrets.
 */
export class ContentCheck {
  readonly #settings = new Map<SettingName, number>();
  #clusterKey: Buffer | undefined;
  #clusterTrust: Buffer | undefined;
  readonly #userIds = new Set<number>();
  readonly #owners = new Set<string>();
  readonly #counts: ObjectCounts;
  readonly #objects = new Set<number>();
  #nextUserId = Number.POSITIVE_INFINITY;
  #lastCounter = 0;
  #lastWithdrawn: number | undefined;

  constructor(
    private readonly hsmType: HsmType,
    quota: Quota,
  ) {
    const ofType = quotas[hsmType];
    this.#counts = new ObjectCounts({
      keys: Math.max(quota.keys, ofType.keys),
      asymmetricKeys: Math.max(quota.asymmetricKeys, ofType.asymmetricKeys),
      certificates: Math.max(quota.certificates, ofType.certificates),
    });
  }

  /** The highest counter that a handle in it was made of, or may have been. */
  get lastCounter(): number {
    return this.#lastCounter;
  }

  /** Throws an Error that says what is wrong. */
  add(record: ContentRecord): CheckedRecord {
    switch (record.table) {
      case 'settings':
        this.#addSetting(record);
        return record;
      case 'users':
        this.#addUser(record);
        return record;
      case 'objects':
        return { ...record, object: this.#addObject(record) };
      case 'tombstones':
        this.#addTombstone(record);
        return record;
      case 'withdrawals':
        this.#addWithdrawal(record);
        return record;
      case 'formerUsers':
        this.#addFormerUser(record);
        return record;
    }
  }

  #addSetting({ key, value }: ContentRecord): void {
    const name = key.toString('latin1');
    if (!isSettingName(name) || !settingRows[name].isContent) throw new Error('a setting that is no content');
    this.#settings.set(name, value.length);
    if (name === 'cluster-key') this.#clusterKey = Buffer.from(value);
    if (name === 'cluster-trust') this.#clusterTrust = Buffer.from(value);
    if (name === 'mutual-tls' && !isMutualTlsSetting(value)) throw new Error('malformed trust anchors');
    if (name === 'users-next-id') this.#nextUserId = new Reader(value).u32();
    // The first counter that nobody has used.
    if (name === 'handles-reserved') this.#saw(new Reader(value).u64() - 1);
  }

  /** A cluster's certificate is for its key. */
  #checkIdentity(): void {
    const [key, trust] = [this.#clusterKey, this.#clusterTrust];
    const fits = trust === undefined || (key !== undefined && certifies(trust, key));
    key?.fill(0);
    if (!fits) throw new Error("the cluster's certificate is not for its key");
  }

  #saw(counter: number): void {
    this.#lastCounter = Math.max(this.#lastCounter, counter);
  }

  #addUser({ key, value }: ContentRecord): void {
    const user = parseUser(value);
    if (canonicalName(user.name) !== user.name || key.toString('latin1') !== user.name)
      throw new Error('a user is not where its name belongs');
    if (this.#userIds.has(user.id) || user.id >= this.#nextUserId)
      throw new Error(`the id ${user.id} of a user is not its own`);
    this.#userIds.add(user.id);
    if (user.role === 'CU') this.#owners.add(identityOf(user.name, user.generation));
    if (this.#userIds.size > userRules[this.hsmType].users) throw new Error('too many users');
  }

  #addFormerUser({ key, value }: ContentRecord): void {
    const name = key.toString('latin1');
    if (canonicalName(name) !== name || value.length !== 4) throw new Error('a malformed former user');
  }

  #addObject({ key, value }: ContentRecord): HsmObject {
    const object = decodeObject(value);
    const { handle, owner } = object;
    if (!handleKey(handle).equals(key) || handle === 0)
      throw new Error('an object is not where its handle belongs');
    if (!isTokenObject(object)) throw new Error(`object ${handle} is no token object`);
    if (!this.#owners.has(owner)) throw new Error(`object ${handle} has no owner`);
    this.#count(object);
    this.#objects.add(handle);
    this.#saw(counterOf(handle));
    return object;
  }

  #count(object: HsmObject): void {
    try {
      this.#counts.take(kindOf(object));
    } catch (error) {
      throw new Error(`too many objects: ${describeError(error)}`);
    }
  }

  #addTombstone({ key, value }: ContentRecord): void {
    if (key.length !== HANDLE_BYTES || value.length > 0) throw new Error('a malformed tombstone');
    const handle = handleIn(key);
    if (this.#objects.has(handle)) throw new Error(`object ${handle} is there and destroyed`);
    this.#saw(counterOf(handle));
  }

  #addWithdrawal({ key, value }: ContentRecord): void {
    if (key.length !== WITHDRAWAL_BYTES || value.length > 0) throw new Error('a malformed withdrawal');
    const handle = handleIn(key);
    if (this.#objects.has(handle)) throw new Error(`object ${handle} is there and withdrawn`);
    if (handle === this.#lastWithdrawn) throw new Error(`object ${handle} is withdrawn twice`);
    this.#lastWithdrawn = handle;
    this.#saw(counterOf(handle));
  }

  /** When all records have been added. Throws an Error. */
  finish(): void {
    if (this.#settings.get('masking-key') !== SEALING_KEY_BYTES) throw new Error('there is no masking key');
    if (!this.#settings.has('users-next-id') || this.#userIds.size === 0)
      throw new Error('there are no users');
    this.#checkIdentity();
    if (!Number.isSafeInteger(this.#lastCounter)) throw new Error('a handle that no HSM gives');
  }
}
