import { ecPrivateComponents, ed25519Seed, isEd25519, rsaPrivateComponents } from '../crypto/index.js';
import { type AttributeKind, attributeKind, CKA } from '../pkcs11/attributes.js';
import { boolBytes } from '../pkcs11/template.js';
import type { Gate } from './gate.js';
import { boolAttribute, type HsmObject } from './hsm-object.js';
import type { ObjectKind } from './kinds.js';
import { readRule } from './rules.js';

/** A value, or why there is none. */
export type ReadResult = Buffer | 'sensitive' | 'unavailable';

/** Reads one attribute as C_GetAttributeValue does, through the read column of the rules. */
export function readAttribute(
  { object, kind }: { readonly object: HsmObject; readonly kind: ObjectKind },
  type: number,
  gate: Gate,
  cause: string | undefined,
): ReadResult {
  const stored = object.attributes.get(type);
  switch (readRule(kind, type)) {
    case 'S':
      return isRevealed(object) && gate.permits('read-secret', cause)
        ? secretPart(kind, object.material, type)
        : 'sensitive';
    case 'Y':
      return stored ?? defaultValues[attributeKind(type) ?? 'bytes'] ?? 'unavailable';
    default:
      // Only the compatible profile lets an object have an attribute that CloudHSM does not know.
      return stored !== undefined && gate.permits('extra-attribute', cause) ? stored : 'unavailable';
  }
}

/** What an attribute without a value reads as, by its kind: FALSE, or a template without entries. */
const defaultValues: { readonly [Kind in AttributeKind]?: Buffer } = {
  bool: boolBytes(false),
  template: Buffer.alloc(0),
};

/** A key's secret part leaves the HSM in the clear only if it is neither sensitive nor unextractable (v2.40 base,
 * section 4.7), which CloudHSM itself never allows. Nobody could approve it for a key with a quorum. */
function isRevealed(object: HsmObject): boolean {
  return (
    !boolAttribute(object, CKA.CKA_SENSITIVE) &&
    boolAttribute(object, CKA.CKA_EXTRACTABLE) &&
    object.quorum === undefined
  );
}

const rsaParts = {
  [CKA.CKA_PRIVATE_EXPONENT]: 'privateExponent',
  [CKA.CKA_PRIME_1]: 'prime1',
  [CKA.CKA_PRIME_2]: 'prime2',
  [CKA.CKA_EXPONENT_1]: 'exponent1',
  [CKA.CKA_EXPONENT_2]: 'exponent2',
  [CKA.CKA_COEFFICIENT]: 'coefficient',
} as const;

function secretPart(kind: ObjectKind, material: Buffer, type: number): ReadResult {
  if (kind === 'rsaPrivate') {
    const part = rsaParts[type as keyof typeof rsaParts];
    return part === undefined ? 'unavailable' : rsaPrivateComponents(material)[part];
  }
  if (kind !== 'ecPrivate') return material;
  return isEd25519(material) ? ed25519Seed(material) : ecPrivateComponents(material).scalar;
}
