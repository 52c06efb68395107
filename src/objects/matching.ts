import type { Template } from '../pkcs11/template.js';
import type { HsmObject } from './hsm-object.js';

/** Whether every attribute of the search template is one of the object's, with the very same bytes. An attribute the
 * object does not have never matches. (v2.40 base, C_FindObjectsInit) */
export function matches(object: HsmObject, template: Template): boolean {
  return template.every(({ type, value, nested }) => {
    const own = object.attributes.get(type);
    return nested === undefined && own !== undefined && own.equals(value);
  });
}
