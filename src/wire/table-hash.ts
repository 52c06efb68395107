import { limits } from '../base/limits.js';
import { CKA, isTemplateAttribute } from '../pkcs11/attributes.js';
import { infoLayouts, mechanismParameters, parameterLayouts } from '../pkcs11/layouts.js';
import { CKM } from '../pkcs11/mechanisms.js';
import { calls } from './calls.js';
import { parameterForms } from './codec.js';

/** Attributes whose value is a template: the module sends their entries one by one. */
export const templateAttributes = Object.values(CKA).filter(isTemplateAttribute);

/** Everything both sides must agree on to understand each other's frames. */
const agreement = JSON.stringify([
  'hello with the configuration file',
  calls,
  parameterForms,
  limits.frameBytes,
  limits.templateAttributes,
  limits.templateDepth,
  limits.attributeBytes,
  limits.parameterEntries,
  parameterLayouts,
  infoLayouts,
  mechanismParameters,
  CKM,
  templateAttributes,
]);

/** FNV-1a, 64 bits: it guards against mistakes, not against an adversary. */
export function fingerprint(text: string): bigint {
  let hash = 0xcbf29ce484222325n;
  for (const byte of Buffer.from(text)) hash = ((hash ^ BigInt(byte)) * 0x100000001b3n) & 0xffffffffffffffffn;
  return hash;
}

/**
 * A fingerprint of the tables, sent in the handshake, so that a module built from other tables is refused at once
 * instead of being misread later.
 */
export const tableHash: bigint = fingerprint(agreement);
