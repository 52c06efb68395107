import { attributeKind } from '../pkcs11/attributes.js';
import { boolBytes, type Template } from '../pkcs11/template.js';
import type { VisibleObject } from './hsm-object.js';
import type { ObjectKind } from './kinds.js';
import { readRule } from './rules.js';

/** Whether every attribute of the template is one of the object's, with the very same bytes. */
export function matches(object: VisibleObject, template: Template): boolean {
  return template.every(({ type, value, nested }) => {
    const own = object.attributes.get(type);
    return nested === undefined && own !== undefined && own.equals(value);
  });
}

const FALSE = boolBytes(false);

/**
 * Whether a search finds the object: exact match of what C_GetAttributeValue would tell (v2.40 base, C_FindObjectsInit;
 * reference section 13). "An attribute unsupported for a type does not match" [guess], even where its object was made with
 * one; `beyondCloudHsm` lets those match. Secrets are never compared.
 */
export function isFoundBy(
  template: Template,
  object: VisibleObject,
  kind: ObjectKind,
  beyondCloudHsm: boolean,
): boolean {
  return template.every(({ type, value, nested }) => {
    const rule = readRule(kind, type);
    if (nested !== undefined || rule === 'S' || (rule === '.' && !beyondCloudHsm)) return false;
    const own = object.attributes.get(type);
    if (own !== undefined) return own.equals(value);
    // As it reads: a flag that was never set is FALSE.
    return rule === 'Y' && attributeKind(type) === 'bool' && FALSE.equals(value);
  });
}
