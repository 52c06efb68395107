import {
  generateMessageKeyPair,
  hasMessageAlgorithm,
  type MessageAlgorithm,
  type MessageForm,
  type MessageKey,
  messageSign,
  messageSignatureBytes,
  messageVerify,
} from '../crypto/index.js';
import { CKA } from '../pkcs11/attributes.js';
import { ckr } from '../pkcs11/ckr.js';
import { CKK } from '../pkcs11/constants.js';
import { CKM } from '../pkcs11/mechanisms.js';
import { type Template, templateUlong } from '../pkcs11/template.js';
import { vendorParameterSets } from '../pkcs11/vendor.js';
import {
  type ClusterSelection,
  type MechanismRow,
  noParameter,
  type SignatureMechanism,
  type UsableKey,
} from './mechanism.js';

/** "hsm2m; in FIPS mode from 2026-09-01" (reference section 8). */
const clusters: ClusterSelection = { hsmTypes: ['hsm2m.medium'] };

const algorithmOfSet = new Map<number, MessageAlgorithm>([
  [vendorParameterSets.CKP_CLOUDHSM_ML_DSA_44, 'ML-DSA-44'],
  [vendorParameterSets.CKP_CLOUDHSM_ML_DSA_65, 'ML-DSA-65'],
  [vendorParameterSets.CKP_CLOUDHSM_ML_DSA_87, 'ML-DSA-87'],
]);

function algorithmOf(template: Template): MessageAlgorithm {
  const set = templateUlong(template, CKA.CKA_CLOUDHSM_PARAMETER_SET);
  if (set === undefined)
    throw ckr('CKR_TEMPLATE_INCOMPLETE', 'the public template has no CKA_CLOUDHSM_PARAMETER_SET');
  const algorithm = algorithmOfSet.get(set);
  if (algorithm === undefined)
    throw ckr('CKR_ATTRIBUTE_VALUE_INVALID', `CKA_CLOUDHSM_PARAMETER_SET ${set} is no ML-DSA`);
  return algorithm;
}

const nativeOf = (key: UsableKey): MessageKey => key.native as MessageKey;
/** "Input = 64-byte mu" (reference section 9.1). */
const MU_BYTES = 64;

function signature(form: MessageForm): SignatureMechanism {
  return {
    keyTypes: [CKK.CKK_CLOUDHSM_ML_DSA],
    // The guide has no number: as for pure Ed25519.
    maxDataBytes: form === 'mu' ? MU_BYTES : 16_000,
    ...(form === 'mu' && { singlePart: true }),
    check: noParameter,
    checkInput: (_parameter, _key, lengthBytes) => {
      if (form === 'mu' && lengthBytes !== MU_BYTES)
        throw ckr('CKR_DATA_LEN_RANGE', `mu has ${MU_BYTES} bytes, not ${lengthBytes}`);
    },
    signatureLengthBytes: (key) => messageSignatureBytes(key.algorithm!),
    sign: (key, _parameter, input) => messageSign(nativeOf(key), form, input),
    verify: (key, _parameter, input, given) => messageVerify(nativeOf(key), form, input, given),
  };
}

/** Bytes of the public keys of the smallest and the largest parameter set (FIPS 204, table 2). That C_GetMechanismInfo has
 * these is a guess. */
const sizes = { minKeySize: 1312, maxKeySize: 2592 };
const onlySignatures = { sign: clusters, verify: clusters };

const rows: readonly MechanismRow[] = [
  {
    type: CKM.CKM_CLOUDHSM_ML_DSA_KEY_PAIR_GEN,
    ...sizes,
    only: { generateKeyPair: clusters },
    generateKeyPair: {
      keyType: CKK.CKK_CLOUDHSM_ML_DSA,
      generate: (publicTemplate) => generateMessageKeyPair(algorithmOf(publicTemplate)),
    },
  },
  { type: CKM.CKM_CLOUDHSM_ML_DSA, ...sizes, only: onlySignatures, signature: signature('pure') },
  { type: CKM.CKM_CLOUDHSM_EXT_MU_ML_DSA, ...sizes, only: onlySignatures, signature: signature('mu') },
];

/** None where the running OpenSSL has no ML-DSA. */
export const mlDsaMechanisms = hasMessageAlgorithm('ML-DSA-44', 'pure') ? rows : [];

/** CloudHSM's mechanisms that are not here because of the running OpenSSL. */
export const missingInNode: ReadonlySet<number> = new Set(
  mlDsaMechanisms.length > 0 ? [] : rows.map(({ type }) => type),
);
