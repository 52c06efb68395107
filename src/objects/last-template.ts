import type { Template } from '../pkcs11/template.js';
import type { Allow } from './gate.js';
import type { Attributes } from './template-validator.js';

/** Most values are too short to be worth a call of the runtime's. */
function isEqual(value: Buffer, other: Buffer): boolean {
  if (value.length !== other.length || value.length > 32) return value.equals(other);
  for (let at = 0; at < value.length; at++) if (value[at] !== other[at]) return false;
  return true;
}

/** Whether a template has these attributes, in this order, with these bytes. */
function isSame(template: Template, types: readonly number[], attributes: Attributes): boolean {
  return (
    template.length === types.length &&
    template.every(
      ({ type, value, nested }, at) =>
        type === types[at] && nested === undefined && isEqual(value, attributes.get(type)!),
    )
  );
}

/**
 * Programs make key after key from the same template, and what it comes to is the same each time: this remembers the last one. Only for
 * templates without secrets, and for rules that nothing but the template and a gate decides.
 */
export class LastTemplate {
  #types: readonly number[] = [];
  #attributes: Attributes | undefined;

  /** What `validate` makes of the template. Many objects share it: it must not be changed. Throws what `validate` does. What the gate was
   * asked about it is asked about again. */
  attributes(template: Template, allow: Allow, validate: (allow: Allow) => Attributes): Attributes {
    if (this.#attributes !== undefined && isSame(template, this.#types, this.#attributes))
      return this.#attributes;
    let isPlain = true;
    const attributes = validate((deviation, detail) => {
      isPlain = false;
      allow(deviation, detail);
    });
    this.#attributes = isPlain ? attributes : undefined;
    this.#types = template.map(({ type }) => type);
    return attributes;
  }
}
