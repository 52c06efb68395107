import type { HsmType } from '../base/cluster-kind.js';
import { classOf, type ObjectKind } from '../objects/kinds.js';
import { ckr } from '../pkcs11/ckr.js';
import { CKO } from '../pkcs11/constants.js';

/** How many objects an HSM holds, session keys included [guess]: they take the same room. */
export interface Quota {
  readonly keys: number;
  /** Of the keys, how many may be halves of a pair [guess that halves count, not pairs]. */
  readonly asymmetricKeys: number;
  readonly certificates: number;
}

/** THE row per type of HSM (reference section 16). Every token key is on every HSM, so the cluster's quota is each HSM's. */
export const quotas: { readonly [Type in HsmType]: Quota } = {
  'hsm1.medium': { keys: 3300, asymmetricKeys: 3300, certificates: 60 },
  'hsm2m.medium': { keys: 16_666, asymmetricKeys: 3333, certificates: 60 },
};

/** The quota of a type of HSM, or as many keys of any kind as `keyQuota` says. */
export function quotaOf(hsmType: HsmType, keyQuota: number | undefined): Quota {
  const quota = quotas[hsmType];
  return keyQuota === undefined ? quota : { ...quota, keys: keyQuota, asymmetricKeys: keyQuota };
}

type Family = 'secret' | 'asymmetric' | 'certificate';

function familyOf(kind: ObjectKind): Family {
  const objectClass = classOf(kind);
  if (objectClass === CKO.CKO_CERTIFICATE) return 'certificate';
  return objectClass === CKO.CKO_SECRET_KEY ? 'secret' : 'asymmetric';
}

/** How many objects of each family an HSM has, kept up as they come and go. */
export class ObjectCounts {
  readonly #counts: Record<Family, number> = { secret: 0, asymmetric: 0, certificate: 0 };

  /** How many of the keys are session keys. */
  sessionKeys = 0;

  constructor(private readonly quota: Quota) {}

  get keys(): number {
    return this.#counts.secret + this.#counts.asymmetric;
  }

  /** Counts what is there already, quota or not: an HSM never drops a key because a setting got smaller. */
  start(kind: ObjectKind, count: number): void {
    this.#counts[familyOf(kind)] += count;
  }

  /** Makes room for one more. Throws CKR_DEVICE_MEMORY for a key [guess, section 16], CKR_FUNCTION_FAILED for a certificate
   * (section 15). */
  take(kind: ObjectKind): void {
    const family = familyOf(kind);
    const { keys, asymmetricKeys, certificates } = this.quota;
    if (family === 'certificate') {
      if (this.#counts.certificate >= certificates)
        throw ckr('CKR_FUNCTION_FAILED', `the cluster holds ${certificates} certificates already`);
    } else if (this.keys >= keys) {
      throw ckr('CKR_DEVICE_MEMORY', `the HSM holds ${keys} keys already: destroy some, or set keyQuota`);
    } else if (family === 'asymmetric' && this.#counts.asymmetric >= asymmetricKeys) {
      throw ckr(
        'CKR_DEVICE_MEMORY',
        `the HSM holds ${asymmetricKeys} public and private keys already: destroy some, or set keyQuota`,
      );
    }
    this.#counts[family]++;
  }

  release(kind: ObjectKind): void {
    this.#counts[familyOf(kind)]--;
  }
}
