import { prfDataLayouts, vendorParameterLayouts } from '../../pkcs11/layouts.js';
import {
  dkmLengthMethods,
  prfDataTypes,
  vendorAliases,
  vendorAttributes,
  vendorDerivations,
  vendorKeyTypes,
  vendorMechanisms,
  vendorParameterSets,
  vendorUnusable,
} from '../../pkcs11/vendor.js';
import { defines, packed, structs } from './c-struct.js';
import { banner } from './c-text.js';

const groups = [
  vendorMechanisms,
  vendorUnusable,
  vendorKeyTypes,
  vendorAttributes,
  vendorParameterSets,
  vendorDerivations,
  prfDataTypes,
  dkmLengthMethods,
];

/** The text of cloudhsm_pkcs11_vendor_defs.h: what CloudHSM adds to the standard. */
export function vendorHeader(): string {
  const aliases = Object.entries(vendorAliases).map(([name, meant]) => `#define ${name} ${meant}\n`);
  return `${banner("What CloudHSM adds to PKCS#11 v2.40. Its numbers' certainty is told in src/pkcs11/vendor.ts.")}
#ifndef CLOUDHSM_PKCS11_VENDOR_DEFS_H
#define CLOUDHSM_PKCS11_VENDOR_DEFS_H

#include "cryptoki.h"

#ifdef __cplusplus
extern "C" {
#endif

${groups.map(defines).join('\n')}
${aliases.join('')}
${packed(structs({ ...prfDataLayouts, ...vendorParameterLayouts }))}
#ifdef __cplusplus
}
#endif
#endif
`;
}
