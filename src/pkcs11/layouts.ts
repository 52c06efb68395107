import type { MechanismName } from './mechanisms.js';

/** One member, or one pointer-and-length pair, of a C structure, in the order of its declaration. */
export type Field =
  | { readonly kind: 'ulong'; readonly name: string }
  /** `CK_BBOOL name`. */
  | { readonly kind: 'flag'; readonly name: string }
  /** CK_SLOT_ID: inside the engine the slot's index. */
  | { readonly kind: 'slot'; readonly name: string }
  /** `CK_BYTE_PTR pointer; CK_ULONG length`, in that order unless `lengthFirst`; `untyped`: it is a CK_VOID_PTR.
   * `returned`: the library may write bytes back through the pointer while the call that passed the structure runs. */
  | {
      readonly kind: 'bytes';
      readonly name: string;
      readonly length: string;
      readonly lengthFirst?: true;
      readonly untyped?: true;
      readonly returned?: true;
    }
  /** No member of its own: whether the pointer `of` is not NULL, which `bytes` does not tell where the length is 0. */
  | { readonly kind: 'given'; readonly name: string; readonly of: string }
  /** A pointer, never NULL, to one other structure. */
  | { readonly kind: 'struct'; readonly name: string; readonly layout: string }
  /** A pointer to an array of another structure, and how many there are: `CK_ULONG length` stands before it. */
  | { readonly kind: 'structs'; readonly name: string; readonly length: string; readonly layout: string }
  /** `CK_BYTE name[size]`. */
  | { readonly kind: 'array'; readonly name: string; readonly size: number }
  /** `CK_UTF8CHAR name[size]`, padded with blanks, without a terminator. */
  | { readonly kind: 'text'; readonly name: string; readonly size: number }
  /** CK_VERSION. */
  | { readonly kind: 'version'; readonly name: string };

const ulong = <const Name extends string>(name: Name) => ({ kind: 'ulong', name }) as const;
const text = <const Name extends string>(name: Name, size: number) => ({ kind: 'text', name, size }) as const;
const version = <const Name extends string>(name: Name) => ({ kind: 'version', name }) as const;

const bytes = <const Name extends string>(name: Name, length: string) =>
  ({ kind: 'bytes', name, length }) as const;
const untypedBytes = <const Name extends string>(name: Name, length: string) =>
  ({ kind: 'bytes', name, length, untyped: true }) as const;
const bytesAfterLength = <const Name extends string>(name: Name, length: string) =>
  ({ kind: 'bytes', name, length, lengthFirst: true }) as const;

/** THE layout per structure of the standard that mechanisms take as their parameter. One that another points to stands
 * before it. (PKCS#11 v2.40 mechanisms, sections 2.1, 2.3, 2.12) */
export const standardParameterLayouts = {
  CK_RSA_PKCS_OAEP_PARAMS: [
    ulong('hashAlg'),
    ulong('mgf'),
    ulong('source'),
    untypedBytes('pSourceData', 'ulSourceDataLen'),
    { kind: 'given', name: 'sourceGiven', of: 'pSourceData' },
  ],
  CK_RSA_PKCS_PSS_PARAMS: [ulong('hashAlg'), ulong('mgf'), ulong('sLen')],
  CK_AES_CTR_PARAMS: [ulong('ulCounterBits'), { kind: 'array', name: 'cb', size: 16 }],
  CK_GCM_PARAMS: [
    { kind: 'bytes', name: 'pIv', length: 'ulIvLen', returned: true },
    ulong('ulIvBits'),
    bytes('pAAD', 'ulAADLen'),
    ulong('ulTagBits'),
  ],
  CK_ECDH1_DERIVE_PARAMS: [
    ulong('kdf'),
    bytesAfterLength('pSharedData', 'ulSharedDataLen'),
    bytesAfterLength('pPublicData', 'ulPublicDataLen'),
  ],
  CK_RSA_AES_KEY_WRAP_PARAMS: [
    ulong('ulAESKeyBits'),
    { kind: 'struct', name: 'pOAEPParams', layout: 'CK_RSA_PKCS_OAEP_PARAMS' },
  ],
} as const satisfies Record<string, readonly Field[]>;

/** The same for the structures of cloudhsm_pkcs11_vendor_defs.h (reference section 10.2; CK_EDDSA_PARAMS is v3.0's). The
 * value of a CK_PRF_DATA_PARAM is one of `prfDataLayouts`, or bytes, as its type says. */
export const vendorParameterLayouts = {
  CK_PRF_DATA_PARAM: [ulong('type'), untypedBytes('pValue', 'ulValueLen')],
  CK_SP800_108_KDF_PARAMS: [
    ulong('prftype'),
    { kind: 'structs', name: 'pDataParams', length: 'ulNumberOfDataParams', layout: 'CK_PRF_DATA_PARAM' },
  ],
  CK_EDDSA_PARAMS: [{ kind: 'flag', name: 'phFlag' }, bytesAfterLength('pContextData', 'ulContextDataLen')],
} as const satisfies Record<string, readonly Field[]>;

/** Structures that CK_PRF_DATA_PARAM.pValue points at. They hold no pointers, so they travel as bytes. */
export const prfDataLayouts = {
  CK_SP800_108_COUNTER_FORMAT: [ulong('ulWidthInBits')],
  CK_SP800_108_DKM_LENGTH_FORMAT: [ulong('dkmLengthMethod'), ulong('ulWidthInBits')],
} as const satisfies Record<string, readonly Field[]>;

export const parameterLayouts = { ...standardParameterLayouts, ...vendorParameterLayouts } as const;

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
  : F extends { kind: 'flag' | 'given' }
    ? boolean
    : F extends { kind: 'text' }
      ? string
      : F extends { kind: 'version' }
        ? Version
        : F extends { kind: 'struct'; layout: infer L extends ParameterLayout }
          ? Structure<L>
          : F extends { kind: 'structs'; layout: infer L extends ParameterLayout }
            ? readonly Structure<L>[]
            : Buffer;

export interface Version {
  readonly major: number;
  readonly minor: number;
}

/** A structure's members as an object: `pIv` is the bytes that pIv and ulIvLen describe. */
export type StructValue<Fields extends readonly Field[]> = {
  -readonly [F in Fields[number] as F['name']]: ValueOf<F>;
};

/** A parameter's structure, which says what it is. */
export type Structure<L extends ParameterLayout> = { readonly layout: L } & StructValue<
  (typeof parameterLayouts)[L]
>;

export type ParameterValue = { [L in ParameterLayout]: Structure<L> }[ParameterLayout];

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
  CKM_CLOUDHSM_AES_GCM: 'CK_GCM_PARAMS',
  CKM_DES3_CBC: 'bytes',
  CKM_DES3_CBC_PAD: 'bytes',
  CKM_CLOUDHSM_AES_KEY_WRAP_NO_PAD: 'bytes',
  CKM_CLOUDHSM_AES_KEY_WRAP_PKCS5_PAD: 'bytes',
  CKM_RSA_AES_KEY_WRAP: 'CK_RSA_AES_KEY_WRAP_PARAMS',
  CKM_ECDH1_DERIVE: 'CK_ECDH1_DERIVE_PARAMS',
  CKM_CLOUDHSM_SP800_108_COUNTER_KDF: 'CK_SP800_108_KDF_PARAMS',
  CKM_CLOUDHSM_EDDSA: 'CK_EDDSA_PARAMS',
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
