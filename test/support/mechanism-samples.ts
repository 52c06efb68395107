import { randomBytes } from 'node:crypto';
import type { ClusterKind } from '../../src/base/cluster-kind.js';
import type { ClusterClient } from '../../src/cluster/cluster-client.js';
import { hasMessageAlgorithm } from '../../src/crypto/index.js';
import { KEY_TYPE_EDWARDS, type MechanismRow } from '../../src/mechanisms/mechanism.js';
import { CKA } from '../../src/pkcs11/attributes.js';
import { CKD, CKG, CKK, CKO } from '../../src/pkcs11/constants.js';
import {
  type MechanismParameter,
  mechanismParameters,
  type ParameterLayout,
} from '../../src/pkcs11/layouts.js';
import { CKM, type MechanismName, mechanismName } from '../../src/pkcs11/mechanisms.js';
import { attribute, type Template, ulongBytes } from '../../src/pkcs11/template.js';
import { memoryCluster, PASSWORD } from './in-process.js';
import { curveOids } from './keys.js';

/* What every mechanism can be tried with, so that tests can be made from the rows. */

const generatorP256 = Buffer.from(
  '046b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296' +
    '4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5',
  'hex',
);
const oaep = {
  layout: 'CK_RSA_PKCS_OAEP_PARAMS',
  hashAlg: CKM.CKM_SHA256,
  mgf: CKG.CKG_MGF1_SHA256,
  source: 0,
  pSourceData: Buffer.alloc(0),
  sourceGiven: false,
} as const;
const gcm = {
  layout: 'CK_GCM_PARAMS',
  pIv: Buffer.alloc(12, 1),
  ulIvBits: 96,
  pAAD: Buffer.alloc(0),
  ulTagBits: 128,
} as const;

const structures: { readonly [L in ParameterLayout]?: MechanismParameter } = {
  CK_RSA_PKCS_OAEP_PARAMS: oaep,
  CK_RSA_AES_KEY_WRAP_PARAMS: {
    layout: 'CK_RSA_AES_KEY_WRAP_PARAMS',
    ulAESKeyBits: 256,
    pOAEPParams: oaep,
  },
  CK_RSA_PKCS_PSS_PARAMS: {
    layout: 'CK_RSA_PKCS_PSS_PARAMS',
    hashAlg: CKM.CKM_SHA256,
    mgf: CKG.CKG_MGF1_SHA256,
    sLen: 32,
  },
  CK_AES_CTR_PARAMS: { layout: 'CK_AES_CTR_PARAMS', ulCounterBits: 128, cb: Buffer.alloc(16) },
  CK_ECDH1_DERIVE_PARAMS: {
    layout: 'CK_ECDH1_DERIVE_PARAMS',
    kdf: CKD.CKD_CLOUDHSM_X963_SHA256_KDF,
    pSharedData: Buffer.alloc(0),
    // The generator of P-256.
    pPublicData: generatorP256,
  },
  CK_SP800_108_KDF_PARAMS: {
    layout: 'CK_SP800_108_KDF_PARAMS',
    prftype: CKM.CKM_SHA256_HMAC,
    pDataParams: [{ layout: 'CK_PRF_DATA_PARAM', type: 1, pValue: ulongBytes(32) }],
  },
  CK_GCM_PARAMS: gcm,
};

/** A parameter that the mechanism takes. */
export function sampleParameter({ type }: MechanismRow): MechanismParameter {
  const kind = mechanismParameters[mechanismName(type) as MechanismName];
  if (kind === undefined) return undefined;
  if (type === CKM.CKM_CLOUDHSM_AES_GCM) return { ...gcm, pIv: Buffer.alloc(0) };
  if (kind === 'bytes') return Buffer.alloc(mechanismName(type).startsWith('CKM_DES3') ? 8 : 16);
  return structures[kind];
}

/** Parameters that it does not take: none where it takes one, some where it takes none, and one that cannot be read. */
export function wrongParameters(row: MechanismRow): MechanismParameter[] {
  const takes = sampleParameter(row) !== undefined;
  return [{ layout: 'unusable', lengthBytes: 3 }, takes ? undefined : Buffer.alloc(16)];
}

const usages = [
  CKA.CKA_ENCRYPT,
  CKA.CKA_DECRYPT,
  CKA.CKA_SIGN,
  CKA.CKA_VERIFY,
  CKA.CKA_WRAP,
  CKA.CKA_UNWRAP,
  CKA.CKA_DERIVE,
];

/** Handles of one key: of a secret key both are the same. */
export interface SampleKey {
  readonly keyType: number;
  readonly publicKey: number;
  readonly privateKey: number;
}

/** Gives the tests of a suite a client of an HSM of this kind, past cryptoki, with sample keys. */
export function useSampleKeys(
  kind: ClusterKind,
  assign: (samples: {
    client: ClusterClient;
    usable: readonly SampleKey[];
    useless: readonly SampleKey[];
  }) => void,
): void {
  before(async () => {
    const client = (await memoryCluster({ ...kind, hsms: 1 })).connect();
    await client.login('crypto_user', PASSWORD);
    assign({
      client,
      usable: await sampleKeys(client, true, kind),
      useless: await sampleKeys(client, false, kind),
    });
  });
}

/** A session key of each type that may be used for everything, or, without `usable`, for nothing. */
async function sampleKeys(client: ClusterClient, usable: boolean, kind: ClusterKind): Promise<SampleKey[]> {
  const usage: Template = usages.map((type) => attribute(type, usable));
  const secret = async (keyType: number, value: Buffer): Promise<SampleKey> => {
    const handle = await client.createObject([
      attribute(CKA.CKA_CLASS, CKO.CKO_SECRET_KEY),
      attribute(CKA.CKA_KEY_TYPE, keyType),
      attribute(CKA.CKA_VALUE, value),
      ...usage,
    ]);
    return { keyType, publicKey: handle, privateKey: handle };
  };
  const pair = async (keyType: number, mechanism: number, parameters: Template): Promise<SampleKey> => ({
    keyType,
    ...(await client.generateKeyPair(mechanism, [...parameters, ...usage], usage)),
  });
  return [
    await secret(CKK.CKK_AES, randomBytes(32)),
    // Every byte of odd parity.
    await secret(CKK.CKK_DES3, Buffer.from('0123456789abcdef23456789abcdef01456789abcdef0123', 'hex')),
    await secret(CKK.CKK_GENERIC_SECRET, randomBytes(32)),
    await pair(CKK.CKK_RSA, CKM.CKM_RSA_PKCS_KEY_PAIR_GEN, [
      attribute(CKA.CKA_MODULUS_BITS, 2048),
      attribute(CKA.CKA_PUBLIC_EXPONENT, Buffer.from([1, 0, 1])),
    ]),
    await pair(CKK.CKK_EC, CKM.CKM_EC_KEY_PAIR_GEN, [
      attribute(CKA.CKA_EC_PARAMS, Buffer.from(curveOids['P-256'], 'hex')),
    ]),
    ...(kind.mode === 'NON_FIPS'
      ? [
          await pair(KEY_TYPE_EDWARDS, CKM.CKM_EC_KEY_PAIR_GEN, [
            attribute(CKA.CKA_EC_PARAMS, Buffer.from('06032b6570', 'hex')),
          ]),
        ]
      : []),
    ...(kind.hsmType === 'hsm2m.medium' && hasMessageAlgorithm('ML-DSA-44', 'pure')
      ? [
          await pair(CKK.CKK_CLOUDHSM_ML_DSA, CKM.CKM_CLOUDHSM_ML_DSA_KEY_PAIR_GEN, [
            attribute(CKA.CKA_CLOUDHSM_PARAMETER_SET, 1),
          ]),
        ]
      : []),
  ];
}
