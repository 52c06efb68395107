import type { MechanismName } from './mechanisms.js';

/** One member, or one pointer-and-length pair, of a C structure, in the order of its declaration. */
export type Field =
  | { readonly kind: 'ulong'; readonly name: string }
  /** CK_SLOT_ID: inside the engine the slot's index. */
  | { readonly kind: 'slot'; readonly name: string }
  /** `CK_BYTE_PTR pointer; CK_ULONG length`, in that order unless `lengthFirst`. `returned`: the library may
   * write bytes back through the pointer while the call that passed the structure runs. */
  | {
      readonly kind: 'bytes';
      readonly name: string;
      readonly length: string;
      readonly lengthFirst?: true;
      readonly returned?: true;
    }
  /** `CK_BYTE name[size]`. */
  | { readonly kind: 'array'; readonly name: string; readonly size: number }
  /** `CK_UTF8CHAR name[size]`, padded with blanks, without a terminator. */
  | { readonly kind: 'text'; readonly name: string; readonly size: number }
  /** CK_VERSION. */
  | { readonly kind: 'version'; readonly name: string };

const ulong = <const Name extends string>(name: Name) => ({ kind: 'ulong', name }) as const;
const text = <const Name extends string>(name: Name, size: number) => ({ kind: 'text', name, size }) as const;
const version = <const Name extends string>(name: Name) => ({ kind: 'version', name }) as const;

/** THE layout per structure that mechanisms take as their parameter. (PKCS#11 v2.40 mechanisms, sections 2.1, 2.12) */
export const parameterLayouts = {
  CK_RSA_PKCS_OAEP_PARAMS: [
    ulong('hashAlg'),
    ulong('mgf'),
    ulong('source'),
    { kind: 'bytes', name: 'pSourceData', length: 'ulSourceDataLen' },
  ],
  CK_RSA_PKCS_PSS_PARAMS: [ulong('hashAlg'), ulong('mgf'), ulong('sLen')],
  CK_AES_CTR_PARAMS: [ulong('ulCounterBits'), { kind: 'array', name: 'cb', size: 16 }],
  CK_GCM_PARAMS: [
    { kind: 'bytes', name: 'pIv', length: 'ulIvLen', returned: true },
    ulong('ulIvBits'),
    { kind: 'bytes', name: 'pAAD', length: 'ulAADLen' },
    ulong('ulTagBits'),
  ],
} as const satisfies Record<string, readonly Field[]>;

/** THE layout per structure that a call fills in. (PKCS#11 v2.40 base, section 3) */
export const infoLayouts = {
  CK_INFO: [
    version('cryptokiVersion'),
    text('manufacturerID', 32),
    ulong('flags'),
    text('libraryDescription', 32),
    version('libraryVersion'),
  ],
  CK_SLOT_INFO: [
    text('slotDescription', 64),
    text('manufacturerID', 32),
    ulong('flags'),
    version('hardwareVersion'),
    version('firmwareVersion'),
  ],
  CK_TOKEN_INFO: [
    text('label', 32),
    text('manufacturerID', 32),
    text('model', 16),
    text('serialNumber', 16),
    ulong('flags'),
    ulong('ulMaxSessionCount'),
    ulong('ulSessionCount'),
    ulong('ulMaxRwSessionCount'),
    ulong('ulRwSessionCount'),
    ulong('ulMaxPinLen'),
    ulong('ulMinPinLen'),
    ulong('ulTotalPublicMemory'),
    ulong('ulFreePublicMemory'),
    ulong('ulTotalPrivateMemory'),
    ulong('ulFreePrivateMemory'),
    version('hardwareVersion'),
    version('firmwareVersion'),
    text('utcTime', 16),
  ],
  CK_SESSION_INFO: [{ kind: 'slot', name: 'slotID' }, ulong('state'), ulong('flags'), ulong('ulDeviceError')],
  CK_MECHANISM_INFO: [ulong('ulMinKeySize'), ulong('ulMaxKeySize'), ulong('flags')],
} as const satisfies Record<string, readonly Field[]>;

export type ParameterLayout = keyof typeof parameterLayouts;
export type InfoLayout = keyof typeof infoLayouts;

type ValueOf<F extends Field> = F extends { kind: 'ulong' | 'slot' }
  ? number
  : F extends { kind: 'text' }
    ? string
    : F extends { kind: 'version' }
      ? Version
      : Buffer;

export interface Version {
  readonly major: number;
  readonly minor: number;
}

/** A structure's members as an object: `pIv` is the bytes that pIv and ulIvLen describe. */
export type StructValue<Fields extends readonly Field[]> = {
  -readonly [F in Fields[number] as F['name']]: ValueOf<F>;
};

export type ParameterValue = {
  [L in ParameterLayout]: { readonly layout: L } & StructValue<(typeof parameterLayouts)[L]>;
}[ParameterLayout];

/** What a mechanism's pParameter points at: a structure, or plain bytes (an IV). A mechanism without a row takes no
 * parameter. */
export const mechanismParameters: { readonly [M in MechanismName]?: ParameterLayout | 'bytes' } = {
  CKM_RSA_PKCS_OAEP: 'CK_RSA_PKCS_OAEP_PARAMS',
  CKM_RSA_PKCS_PSS: 'CK_RSA_PKCS_PSS_PARAMS',
  CKM_SHA1_RSA_PKCS_PSS: 'CK_RSA_PKCS_PSS_PARAMS',
  CKM_SHA224_RSA_PKCS_PSS: 'CK_RSA_PKCS_PSS_PARAMS',
  CKM_SHA256_RSA_PKCS_PSS: 'CK_RSA_PKCS_PSS_PARAMS',
  CKM_SHA384_RSA_PKCS_PSS: 'CK_RSA_PKCS_PSS_PARAMS',
  CKM_SHA512_RSA_PKCS_PSS: 'CK_RSA_PKCS_PSS_PARAMS',
  CKM_AES_CBC: 'bytes',
  CKM_AES_CBC_PAD: 'bytes',
  CKM_AES_CTR: 'CK_AES_CTR_PARAMS',
  CKM_AES_GCM: 'CK_GCM_PARAMS',
};

/** What arrived as a call's mechanism. */
export interface Mechanism {
  readonly type: number;
  readonly parameter: MechanismParameter;
}

/** `unusable`: the program passed a parameter that cannot be read: of another length than the structure has, with a
 * NULL pointer in it, or to a mechanism that takes none. Its bytes never leave the program. */
export type MechanismParameter =
  | undefined
  | Buffer
  | ParameterValue
  | { readonly layout: 'unusable'; readonly lengthBytes: number };
