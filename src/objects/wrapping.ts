import { attributeName, CKA } from '../pkcs11/attributes.js';
import { ckr } from '../pkcs11/ckr.js';
import type { Attribute, Template } from '../pkcs11/template.js';
import { boolAttribute, type HsmObject, kindOf } from './hsm-object.js';
import { nestedTemplateOf } from './nested-template.js';
import { checkedValue } from './template-validator.js';
import { comesBack } from './unwrapped.js';

/**
 * Whether the attributes of both keys allow `target` to leave the HSM wrapped under `wrappingKey` (v2.40 base, C_WrapKey;
 * reference sections 9.5 and 12). Throws CKR_KEY_NOT_WRAPPABLE, CKR_KEY_UNEXTRACTABLE, or CKR_KEY_HANDLE_INVALID where
 * the wrapping key's template is not the target's.
 */
export function requireWrappable(wrappingKey: HsmObject, target: HsmObject): void {
  const which = `key ${target.handle}`;
  if (kindOf(target).endsWith('Public')) {
    throw ckr('CKR_KEY_NOT_WRAPPABLE', `${which} is a public key: read its attributes instead`);
  }
  if (!comesBack(kindOf(target), target.material)) {
    throw ckr('CKR_KEY_NOT_WRAPPABLE', `${which} is of a type that cannot be unwrapped`);
  }
  if (!boolAttribute(target, CKA.CKA_EXTRACTABLE)) {
    throw ckr('CKR_KEY_UNEXTRACTABLE', `${which} has CKA_EXTRACTABLE FALSE`);
  }
  if (boolAttribute(target, CKA.CKA_WRAP_WITH_TRUSTED) && !boolAttribute(wrappingKey, CKA.CKA_TRUSTED)) {
    throw ckr(
      'CKR_KEY_NOT_WRAPPABLE',
      `${which} has CKA_WRAP_WITH_TRUSTED, and no admin has set CKA_TRUSTED of key ${wrappingKey.handle}`,
    );
  }
  const template = wrappingKey.attributes.get(CKA.CKA_WRAP_TEMPLATE);
  const missed =
    template &&
    nestedTemplateOf(template).find(({ type, value }) => !target.attributes.get(type)?.equals(value));
  if (missed) {
    throw ckr(
      'CKR_KEY_HANDLE_INVALID',
      `${attributeName(missed.type)} of ${which} is not what CKA_WRAP_TEMPLATE of key ${wrappingKey.handle} demands`,
    );
  }
}

export interface UnwrapTemplate {
  readonly template: Template;
  /** Attributes that the unwrapping key's own template has added. */
  readonly imposed: ReadonlySet<number>;
}

/** The program's template for C_UnwrapKey with what CKA_UNWRAP_TEMPLATE of the unwrapping key adds to it. Throws
 * CKR_TEMPLATE_INCONSISTENT where the two contradict each other (reference section 12). */
export function templateForUnwrapping(unwrappingKey: HsmObject, given: Template): UnwrapTemplate {
  const own = unwrappingKey.attributes.get(CKA.CKA_UNWRAP_TEMPLATE);
  if (own === undefined) return { template: given, imposed: new Set() };
  const added: Attribute[] = [];
  for (const entry of nestedTemplateOf(own)) {
    const same = given.filter(({ type }) => type === entry.type);
    if (same.some((other) => !checkedValue(other).equals(entry.value))) {
      throw ckr(
        'CKR_TEMPLATE_INCONSISTENT',
        `${attributeName(entry.type)} is another one than CKA_UNWRAP_TEMPLATE of key ${unwrappingKey.handle} says`,
      );
    }
    if (same.length === 0) added.push(entry);
  }
  return { template: [...given, ...added], imposed: new Set(added.map(({ type }) => type)) };
}
