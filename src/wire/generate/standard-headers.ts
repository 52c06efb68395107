import { CKA } from '../../pkcs11/attributes.js';
import { CKR } from '../../pkcs11/ckr.js';
import {
  CKC,
  CKF,
  CKG,
  CKO,
  CKS,
  CKU,
  CKZ,
  standardDerivations,
  standardKeyTypes,
} from '../../pkcs11/constants.js';
import { infoLayouts, standardParameterLayouts } from '../../pkcs11/layouts.js';
import { standardMechanisms } from '../../pkcs11/mechanisms.js';
import { vendorAttributes } from '../../pkcs11/vendor.js';
import { type CallRow, calls } from '../calls.js';
import { defines, packed, structs } from './c-struct.js';
import { banner, cParameters } from './c-text.js';
import { standardNames } from './standard-names.js';

const standardAttributes = Object.fromEntries(
  Object.entries(CKA).filter(([name]) => !(name in vendorAttributes)),
);

/** Every other name of the standard for CK_ULONG. */
const ulongSynonyms = [
  'CK_ATTRIBUTE_TYPE',
  'CK_CERTIFICATE_CATEGORY',
  'CK_CERTIFICATE_TYPE',
  'CK_EC_KDF_TYPE',
  'CK_FLAGS',
  'CK_HW_FEATURE_TYPE',
  'CK_JAVA_MIDP_SECURITY_DOMAIN',
  'CK_KEY_TYPE',
  'CK_MECHANISM_TYPE',
  'CK_NOTIFICATION',
  'CK_OBJECT_CLASS',
  'CK_OBJECT_HANDLE',
  'CK_RSA_PKCS_MGF_TYPE',
  'CK_RSA_PKCS_OAEP_SOURCE_TYPE',
  'CK_RV',
  'CK_SESSION_HANDLE',
  'CK_SLOT_ID',
  'CK_STATE',
  'CK_USER_TYPE',
];

const scalars = `/* PKCS#11 v2.40 base, section 3.1: CK_ULONG is as wide as a long. */
typedef unsigned char CK_BYTE;
typedef CK_BYTE CK_CHAR;
typedef CK_BYTE CK_UTF8CHAR;
typedef CK_BYTE CK_BBOOL;
typedef unsigned long int CK_ULONG;
typedef long int CK_LONG;
${ulongSynonyms.map((name) => `typedef CK_ULONG ${name};`).join('\n')}

typedef void *CK_VOID_PTR;
typedef CK_VOID_PTR *CK_VOID_PTR_PTR;
${[
  'BYTE',
  'CHAR',
  'UTF8CHAR',
  'ULONG',
  'MECHANISM_TYPE',
  'OBJECT_CLASS',
  'OBJECT_HANDLE',
  'SESSION_HANDLE',
  'SLOT_ID',
]
  .map((name) => `typedef CK_${name} *CK_${name}_PTR;`)
  .join('\n')}

#define CK_FALSE 0
#define CK_TRUE 1
#ifndef CK_DISABLE_TRUE_FALSE
#ifndef FALSE
#define FALSE CK_FALSE
#endif
#ifndef TRUE
#define TRUE CK_TRUE
#endif
#endif
#define CK_INVALID_HANDLE 0UL
#define CK_UNAVAILABLE_INFORMATION (~0UL)
#define CK_EFFECTIVELY_INFINITE 0UL
#define CKN_SURRENDER 0UL
#define CRYPTOKI_VERSION_MAJOR 2
#define CRYPTOKI_VERSION_MINOR 40
`;

const fixedStructs = `
typedef struct CK_VERSION {
  CK_BYTE major;
  CK_BYTE minor;
} CK_VERSION;
typedef CK_VERSION *CK_VERSION_PTR;

typedef struct CK_DATE {
  CK_CHAR year[4];
  CK_CHAR month[2];
  CK_CHAR day[2];
} CK_DATE;

typedef struct CK_ATTRIBUTE {
  CK_ATTRIBUTE_TYPE type;
  CK_VOID_PTR pValue;
  CK_ULONG ulValueLen;
} CK_ATTRIBUTE;
typedef CK_ATTRIBUTE *CK_ATTRIBUTE_PTR;

typedef struct CK_MECHANISM {
  CK_MECHANISM_TYPE mechanism;
  CK_VOID_PTR pParameter;
  CK_ULONG ulParameterLen;
} CK_MECHANISM;
typedef CK_MECHANISM *CK_MECHANISM_PTR;

/* PKCS#11 v2.40 base, section 3.7: callbacks, and what C_Initialize takes. */
typedef CK_RV (*CK_NOTIFY)(CK_SESSION_HANDLE hSession, CK_NOTIFICATION event, CK_VOID_PTR pApplication);
typedef CK_RV (*CK_CREATEMUTEX)(CK_VOID_PTR_PTR ppMutex);
typedef CK_RV (*CK_DESTROYMUTEX)(CK_VOID_PTR pMutex);
typedef CK_RV (*CK_LOCKMUTEX)(CK_VOID_PTR pMutex);
typedef CK_RV (*CK_UNLOCKMUTEX)(CK_VOID_PTR pMutex);

typedef struct CK_C_INITIALIZE_ARGS {
  CK_CREATEMUTEX CreateMutex;
  CK_DESTROYMUTEX DestroyMutex;
  CK_LOCKMUTEX LockMutex;
  CK_UNLOCKMUTEX UnlockMutex;
  CK_FLAGS flags;
  CK_VOID_PTR pReserved;
} CK_C_INITIALIZE_ARGS;
typedef CK_C_INITIALIZE_ARGS *CK_C_INITIALIZE_ARGS_PTR;
`;

/** Where a group of constants has names that only the vendor's header has, the standard's are given instead. */
const constants = [
  CKR,
  CKO,
  standardKeyTypes,
  CKC,
  CKU,
  CKS,
  CKG,
  CKZ,
  standardDerivations,
  CKF,
  standardAttributes,
  standardMechanisms,
  ...standardNames,
];

/** The text of pkcs11t.h: types, constants and structures. */
function typesHeader(): string {
  return `${banner('PKCS#11 v2.40: types, constants and structures.')}
#ifndef CLOUDHSM_LOCAL_PKCS11T_H
#define CLOUDHSM_LOCAL_PKCS11T_H

${scalars}
${constants.map(defines).join('\n')}${fixedStructs}${structs({ ...standardParameterLayouts, ...infoLayouts })}
typedef struct CK_FUNCTION_LIST CK_FUNCTION_LIST;
typedef CK_FUNCTION_LIST *CK_FUNCTION_LIST_PTR;
typedef CK_FUNCTION_LIST_PTR *CK_FUNCTION_LIST_PTR_PTR;

#endif
`;
}

const rows: readonly CallRow[] = calls;

/** The text of pkcs11f.h, which the standard means to be included several times (v2.40 base, section 2.2). */
function functionsHeader(): string {
  const entries = rows.map((call) => {
    const parameters = call.arguments.flatMap(cParameters).map(({ type, name }) => `  ${type} ${name}`);
    return `CK_PKCS11_FUNCTION_INFO(${call.name})
#ifdef CK_NEED_ARG_LIST
(
${parameters.join(',\n')}
);
#endif
`;
  });
  return `${banner('PKCS#11 v2.40: its functions, for a CK_PKCS11_FUNCTION_INFO of whoever includes this.')}
${entries.join('\n')}`;
}

/** The text of pkcs11.h: the functions, their types and the list of them all. */
function pkcs11Header(): string {
  return `${banner('PKCS#11 v2.40.')}
#ifndef CLOUDHSM_LOCAL_PKCS11_H
#define CLOUDHSM_LOCAL_PKCS11_H

#ifdef __cplusplus
extern "C" {
#endif

/* The module defines this as the attribute that exports a function. */
#ifndef CK_API
#define CK_API
#endif

/* A program may have defined these for its compiler (v2.40 base, section 2.1). */
#ifndef CK_PTR
#define CK_PTR *
#endif
#ifndef CK_DECLARE_FUNCTION
#define CK_DECLARE_FUNCTION(returnType, name) CK_API returnType name
#endif
#ifndef CK_DECLARE_FUNCTION_POINTER
#define CK_DECLARE_FUNCTION_POINTER(returnType, name) returnType(CK_PTR name)
#endif
#ifndef CK_CALLBACK_FUNCTION
#define CK_CALLBACK_FUNCTION(returnType, name) returnType(CK_PTR name)
#endif
#ifndef NULL_PTR
#define NULL_PTR 0
#endif

${packed(`
#include "pkcs11t.h"

#define CK_JOIN_(left, right) left##right

/* The functions themselves. */
#define CK_NEED_ARG_LIST 1
#define CK_PKCS11_FUNCTION_INFO(name) extern CK_DECLARE_FUNCTION(CK_RV, name)
#include "pkcs11f.h"
#undef CK_PKCS11_FUNCTION_INFO

/* CK_C_Initialize and its like: pointers to them. */
#define CK_PKCS11_FUNCTION_INFO(name) typedef CK_DECLARE_FUNCTION_POINTER(CK_RV, CK_JOIN_(CK_, name))
#include "pkcs11f.h"
#undef CK_NEED_ARG_LIST
#undef CK_PKCS11_FUNCTION_INFO

struct CK_FUNCTION_LIST {
  CK_VERSION version;
#define CK_PKCS11_FUNCTION_INFO(name) CK_JOIN_(CK_, name) name;
#include "pkcs11f.h"
#undef CK_PKCS11_FUNCTION_INFO
};
#undef CK_JOIN_
`)}
#ifdef __cplusplus
}
#endif
#endif
`;
}

/** The text of cryptoki.h, which programs include. */
function cryptokiHeader(): string {
  return `${banner('PKCS#11 v2.40 for programs: everything.')}
#ifndef CLOUDHSM_LOCAL_CRYPTOKI_H
#define CLOUDHSM_LOCAL_CRYPTOKI_H

#include "pkcs11.h"

#endif
`;
}

/** The standard's header files by name. */
export const standardHeaders = (): Readonly<Record<string, string>> => ({
  'cryptoki.h': cryptokiHeader(),
  'pkcs11.h': pkcs11Header(),
  'pkcs11f.h': functionsHeader(),
  'pkcs11t.h': typesHeader(),
});
