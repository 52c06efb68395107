import { attributeKind, attributeName } from '../pkcs11/attributes.js';
import { ckr } from '../pkcs11/ckr.js';
import type { Attribute, Template } from '../pkcs11/template.js';

/*
 * The value of CKA_WRAP_TEMPLATE and CKA_UNWRAP_TEMPLATE, as an object keeps it: its entries one after the other, in the
 * order in which the program gave them, each
 *
 *   u32 attribute, u32 length, the value (little-endian)
 */

/** One value of an object's may have; far below what a record may hold, so that no template makes a key unreadable. */
const MOST_BYTES = 16 * 1024;

/** Encodes entries whose values have been checked. Throws CKR_ATTRIBUTE_VALUE_INVALID for too large a template. */
function encode(entries: Template): Buffer {
  const parts = entries.flatMap(({ type, value }) => {
    const head = Buffer.alloc(8);
    head.writeUInt32LE(type, 0);
    head.writeUInt32LE(value.length, 4);
    return [head, value];
  });
  const bytes = Buffer.concat(parts);
  if (bytes.length > MOST_BYTES) {
    throw ckr('CKR_ATTRIBUTE_VALUE_INVALID', `a template of ${bytes.length} bytes within a template`);
  }
  return bytes;
}

/**
 * The value to keep for an attribute that is a template; `check` normalises each entry's value. A template within that
 * template is refused [guess]: no key that CloudHSM unwraps may have one. Throws CKR_ATTRIBUTE_VALUE_INVALID,
 * CKR_TEMPLATE_INCONSISTENT or what `check` does.
 */
export function nestedTemplateValue(outer: Attribute, check: (entry: Attribute) => Buffer): Buffer {
  const name = attributeName(outer.type);
  const { nested } = outer;
  if (nested === undefined) throw ckr('CKR_ATTRIBUTE_VALUE_INVALID', `${name} is no array of attributes`);
  const seen = new Set<number>();
  const entries = nested.map((entry) => {
    if (attributeKind(entry.type) === 'template') {
      throw ckr('CKR_ATTRIBUTE_VALUE_INVALID', `${name} holds a template: templates nest only once`);
    }
    if (seen.has(entry.type)) {
      throw ckr('CKR_TEMPLATE_INCONSISTENT', `${attributeName(entry.type)} stands twice in ${name}`);
    }
    seen.add(entry.type);
    return { type: entry.type, value: check(entry) };
  });
  return encode(entries);
}

/** The entries of a value that `nestedTemplateValue` made. */
export function nestedTemplateOf(value: Buffer): Template {
  const entries: Attribute[] = [];
  for (let at = 0; at < value.length; ) {
    const end = at + 8 + value.readUInt32LE(at + 4);
    entries.push({ type: value.readUInt32LE(at), value: value.subarray(at + 8, end) });
    at = end;
  }
  return entries;
}
