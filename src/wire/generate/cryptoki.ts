import { CKA } from '../../pkcs11/attributes.js';
import { CKR } from '../../pkcs11/ckr.js';
import { CKC, CKF, CKG, CKK, CKO, CKS, CKU, CKZ } from '../../pkcs11/constants.js';
import { type Field, infoLayouts, parameterLayouts } from '../../pkcs11/layouts.js';
import { CKM } from '../../pkcs11/mechanisms.js';
import { type CallRow, calls } from '../calls.js';
import { banner, prototype } from './c-text.js';

/** Every other name of the standard for CK_ULONG. */
const ulongSynonyms = [
  'CK_ATTRIBUTE_TYPE',
  'CK_CERTIFICATE_TYPE',
  'CK_EC_KDF_TYPE',
  'CK_FLAGS',
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
${['BYTE', 'CHAR', 'UTF8CHAR', 'ULONG', 'MECHANISM_TYPE', 'OBJECT_HANDLE', 'SESSION_HANDLE', 'SLOT_ID']
  .map((name) => `typedef CK_${name} *CK_${name}_PTR;`)
  .join('\n')}

#ifndef NULL_PTR
#define NULL_PTR 0
#endif
#define CK_FALSE 0
#define CK_TRUE 1
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

function members(field: Field): string[] {
  switch (field.kind) {
    case 'ulong':
      return [`CK_ULONG ${field.name};`];
    case 'slot':
      return [`CK_SLOT_ID ${field.name};`];
    case 'array':
      return [`CK_BYTE ${field.name}[${field.size}];`];
    case 'text':
      return [`CK_UTF8CHAR ${field.name}[${field.size}];`];
    case 'version':
      return [`CK_VERSION ${field.name};`];
    case 'bytes': {
      const pair = [`CK_BYTE_PTR ${field.name};`, `CK_ULONG ${field.length};`];
      return field.lengthFirst ? pair.reverse() : pair;
    }
  }
}

function struct(name: string, fields: readonly Field[]): string {
  const body = fields.flatMap(members).map((member) => `  ${member}\n`);
  return `\ntypedef struct ${name} {\n${body.join('')}} ${name};\ntypedef ${name} *${name}_PTR;\n`;
}

const defines = (constants: Readonly<Record<string, number>>): string =>
  Object.entries(constants)
    .map(([name, value]) => `#define ${name} 0x${value.toString(16).padStart(8, '0')}UL\n`)
    .join('');

/** The text of cryptoki.h, the declarations a C program needs to use the module (or any other). */
export function cryptokiHeader(): string {
  const rows: readonly CallRow[] = calls;
  const structs = [...Object.entries(parameterLayouts), ...Object.entries(infoLayouts)];
  const functions = rows.map((call) => `  ${prototype(call, `(*${call.name})`, '  ').trim()};\n`);
  return `${banner('PKCS#11 v2.40: the types, constants and functions that CloudHSM has.')}
#ifndef CLOUDHSM_LOCAL_CRYPTOKI_H
#define CLOUDHSM_LOCAL_CRYPTOKI_H

#ifdef __cplusplus
extern "C" {
#endif

/* The module defines this as the attribute that exports a function. */
#ifndef CK_API
#define CK_API
#endif

${scalars}
${[CKR, CKO, CKK, CKC, CKU, CKS, CKG, CKZ, CKF, CKA, CKM].map(defines).join('\n')}${fixedStructs}${structs
  .map(([name, fields]) => struct(name, fields))
  .join('')}
typedef struct CK_FUNCTION_LIST CK_FUNCTION_LIST;
typedef CK_FUNCTION_LIST *CK_FUNCTION_LIST_PTR;
typedef CK_FUNCTION_LIST_PTR *CK_FUNCTION_LIST_PTR_PTR;

struct CK_FUNCTION_LIST {
  CK_VERSION version;
${functions.join('')}};

${rows.map((call) => `${prototype(call, call.name, 'CK_API ')};\n`).join('')}
#ifdef __cplusplus
}
#endif
#endif
`;
}
