import {
  type AsymmetricKey,
  curveByOid,
  ed25519Oid,
  importMessageKey,
  importPrivateKey,
  importPublicKey,
  importSecretKey,
  messageKeyBits,
  type SecretKey,
} from '../crypto/index.js';
import { KEY_TYPE_EDWARDS, type UsableKey } from '../mechanisms/mechanism.js';
import { type HsmObject, kindOf, type VisibleObject } from '../objects/hsm-object.js';
import { classOf, keyTypeOf, type ObjectKind } from '../objects/kinds.js';
import { decodeObject } from '../objects/record.js';
import { idClaim } from '../objects/unique-id.js';
import { CKA } from '../pkcs11/attributes.js';
import { CKK, CKO } from '../pkcs11/constants.js';

/** A new object of which nobody has looked at everything yet. */
interface Unfinished {
  readonly visible: VisibleObject;
  readonly material: Buffer;
  finish(): HsmObject;
}

/** An object with its kind looked up, finished or decoded once, when it is first looked at, and its key parsed once, when that is first
 * used. */
export class LoadedObject {
  #object: HsmObject | undefined;
  #unfinished: Unfinished | undefined;
  /** What it is decoded from when somebody needs it. */
  #record: Buffer | undefined;
  /** null: none. */
  #idClaim: string | null | undefined;
  #key: UsableKey | undefined;
  #gone = false;

  private constructor(
    readonly handle: number,
    readonly kind: ObjectKind,
  ) {}

  static of(object: HsmObject): LoadedObject {
    const loaded = new LoadedObject(object.handle, kindOf(object));
    loaded.#object = object;
    return loaded;
  }

  static unfinished(handle: number, kind: ObjectKind, unfinished: Unfinished): LoadedObject {
    const loaded = new LoadedObject(handle, kind);
    loaded.#unfinished = unfinished;
    return loaded;
  }

  /** @param record its own from now on; cleansed when it has been decoded */
  static ofRecord(record: Buffer, handle: number, kind: ObjectKind): LoadedObject {
    const loaded = new LoadedObject(handle, kind);
    loaded.#record = record;
    return loaded;
  }

  get object(): HsmObject {
    return this.#object ?? this.#finish() ?? this.#decode();
  }

  #finish(): HsmObject | undefined {
    this.#object = this.#unfinished?.finish();
    this.#unfinished = undefined;
    return this.#object;
  }

  /** Without what follows from the key of a new object. */
  get visible(): VisibleObject {
    return this.#object ?? this.#unfinished?.visible ?? this.#decode();
  }

  /** As src/objects/unique-id.ts has it. */
  get idClaim(): string | undefined {
    this.#idClaim ??= idClaim(this.visible.attributes) ?? null;
    return this.#idClaim ?? undefined;
  }

  #decode(): HsmObject {
    const record = this.#record!;
    const object = decodeObject(record);
    record.fill(0);
    this.#record = undefined;
    this.#object = object;
    return object;
  }

  /** Destroyed while somebody still held it. */
  get gone(): boolean {
    return this.#gone;
  }

  get key(): UsableKey {
    this.#key ??= this.#parse();
    return this.#key;
  }

  #parse(): UsableKey {
    const { attributes, material } = this.object;
    const keyType = keyTypeOf(this.kind)!;
    const objectClass = classOf(this.kind);
    if (objectClass === CKO.CKO_SECRET_KEY) {
      const native: SecretKey = importSecretKey(material);
      return { keyType, bits: material.length * 8, native };
    }
    const isPrivate = objectClass === CKO.CKO_PRIVATE_KEY;
    const parameters = attributes.get(CKA.CKA_EC_PARAMS);
    const isEdwards = parameters?.equals(ed25519Oid) === true;
    if (isEdwards || keyType === CKK.CKK_CLOUDHSM_ML_DSA) {
      const native = importMessageKey(material, isPrivate);
      const { algorithm } = native;
      return {
        keyType: isEdwards ? KEY_TYPE_EDWARDS : keyType,
        bits: messageKeyBits(algorithm),
        native,
        algorithm,
      };
    }
    const native: AsymmetricKey = isPrivate ? importPrivateKey(material) : importPublicKey(material);
    const curve = curveByOid(parameters ?? Buffer.alloc(0))?.name;
    return { keyType, bits: native.bits, native, ...(curve && { curve }) };
  }

  /** The end of the object: its key is cleansed. */
  destroy(): void {
    this.#gone = true;
    this.#key?.native.destroy();
    this.#key = undefined;
    this.#record?.fill(0);
    (this.#object ?? this.#unfinished)?.material.fill(0);
  }
}
