import { hmac, importSecretKey, randomBytes, type SecretKey } from '../crypto/index.js';
import type { HsmObject } from '../objects/hsm-object.js';
import { decodeObject, encodeObject, isAsEncoded } from '../objects/record.js';
import { ckr } from '../pkcs11/ckr.js';
import { SEALING_KEY_BYTES, seal, unseal } from '../store/sealing.js';
import type { UserRecord } from './user-records.js';

/** A masked object: an object sealed under the masking key that all HSMs of a cluster, and nobody else, have. The one
 * form in which a key travels between HSMs. */
const IDENTITY = Buffer.from('cloudhsm-local masked object 1');
const USER_IDENTITY = Buffer.from('cloudhsm-local masked user 1');
const ID_LABEL = Buffer.from('cloudhsm-local masking key id 1');
const ID_BYTES = 8;
const DIGEST_LABEL = Buffer.from('cloudhsm-local object digest 1');

const OTHER_MASKING_KEY =
  'the masked object is of a cluster with another masking key: only clusters of one backup share theirs';

export function newMaskingKey(): Buffer {
  return randomBytes(SEALING_KEY_BYTES);
}

export class MaskingKey {
  readonly #key: SecretKey;
  readonly #digestKey: SecretKey;
  /** Of objects that came as the bytes it is made of. */
  readonly #digests = new WeakMap<HsmObject, Buffer>();

  constructor(bytes: Buffer) {
    this.#key = importSecretKey(bytes);
    const digestKey = hmac('sha256', this.#key, DIGEST_LABEL);
    this.#digestKey = importSecretKey(digestKey);
    digestKey.fill(0);
  }

  mask(object: HsmObject): Buffer {
    const record = encodeObject(object);
    const masked = seal(this.#key, IDENTITY, record);
    record.fill(0);
    return masked;
  }

  /** Equal on all HSMs of the cluster for equal objects. Under a key, because a weak secret could be found by its hash. */
  digest(object: HsmObject): Buffer {
    const known = this.#digests.get(object);
    if (known !== undefined) return known;
    const record = encodeObject(object);
    const digest = hmac('sha256', this.#digestKey, record);
    record.fill(0);
    return digest;
  }

  /** Tells whether two HSMs have the same masking key, and nothing else of it. */
  get id(): Buffer {
    return hmac('sha256', this.#key, ID_LABEL).subarray(0, ID_BYTES);
  }

  destroy(): void {
    this.#key.destroy();
    this.#digestKey.destroy();
  }

  /** A user with what it logs in by, for an HSM of the cluster or of a clone. */
  maskUser(user: UserRecord): Buffer {
    const record = Buffer.from(JSON.stringify(user));
    const masked = seal(this.#key, USER_IDENTITY, record);
    record.fill(0);
    return masked;
  }

  /** Throws CKR_FUNCTION_FAILED for anything that HSMs with this masking key did not mask. */
  unmaskUser(masked: Buffer): UserRecord {
    const record = unseal(this.#key, USER_IDENTITY, masked);
    if (record === undefined) throw ckr('CKR_FUNCTION_FAILED', OTHER_MASKING_KEY);
    const user = JSON.parse(record.toString('utf8')) as UserRecord;
    record.fill(0);
    return user;
  }

  /** Throws CKR_FUNCTION_FAILED for anything this cluster's HSMs did not mask. */
  unmask(masked: Buffer): HsmObject {
    const record = unseal(this.#key, IDENTITY, masked);
    if (record === undefined) throw ckr('CKR_FUNCTION_FAILED', OTHER_MASKING_KEY);
    const object = decodeObject(record);
    if (isAsEncoded(record)) this.#digests.set(object, hmac('sha256', this.#digestKey, record));
    record.fill(0);
    return object;
  }
}
