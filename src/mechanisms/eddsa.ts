import type { ClusterKind } from '../base/cluster-kind.js';
import type { Eventually } from '../base/eventually.js';
import {
  digest,
  ed25519Oid,
  generateMessageKeyPair,
  hasMessageAlgorithm,
  type KeyPairDer,
  type MessageForm,
  type MessageKey,
  messageSign,
  messageSignatureBytes,
  messageVerify,
} from '../crypto/index.js';
import { ckr } from '../pkcs11/ckr.js';
import { CKM } from '../pkcs11/mechanisms.js';
import {
  badParameter,
  type ClusterSelection,
  type HashedSignature,
  isSelected,
  KEY_TYPE_EDWARDS,
  type MechanismParameter,
  type MechanismRow,
  structParameter,
  type UsableKey,
} from './mechanism.js';

/** "hsm2m NON_FIPS only" (reference section 8). */
const clusters: ClusterSelection = { modes: ['NON_FIPS'], hsmTypes: ['hsm2m.medium'] };

/** "Parameter NULL: pure Ed25519. {phFlag=TRUE, no context}: Ed25519ph" (reference section 9.8). */
function formOf(parameter: MechanismParameter): MessageForm {
  if (parameter === undefined) return 'pure';
  const { phFlag, pContextData } = structParameter(parameter, 'CK_EDDSA_PARAMS');
  if (!phFlag) throw badParameter('phFlag must be TRUE; for pure Ed25519 leave the parameter out');
  if (pContextData.length > 0) throw badParameter('CloudHSM takes no context');
  if (!hasMessageAlgorithm('ED25519', 'prehash'))
    throw badParameter(`Node ${process.versions.node} has no Ed25519ph: run cloudhsm-local with Node 24`);
  return 'prehash';
}

/** Ed25519ph signs the SHA-512, which the client computes: "no limit" (reference sections 9.3 and 9.8). */
const prehashed: HashedSignature = {
  hash: 'sha512',
  base: CKM.CKM_CLOUDHSM_EDDSA,
};
const PREHASH_BYTES = digest('sha512', Buffer.alloc(0)).length;

const nativeOf = (key: UsableKey): MessageKey => key.native as MessageKey;

export const eddsaMechanisms: readonly MechanismRow[] = [
  {
    type: CKM.CKM_CLOUDHSM_EDDSA,
    minKeySize: 255,
    maxKeySize: 255,
    only: { sign: clusters, verify: clusters },
    signature: {
      keyTypes: [KEY_TYPE_EDWARDS],
      maxDataBytes: 16_000,
      singlePart: true,
      hashedWhen: (parameter) => (formOf(parameter) === 'prehash' ? prehashed : undefined),
      check: (parameter) => void formOf(parameter),
      checkInput: (parameter, _key, lengthBytes) => {
        if (formOf(parameter) === 'prehash' && lengthBytes !== PREHASH_BYTES)
          throw ckr('CKR_DATA_LEN_RANGE', `a hash of ${lengthBytes} bytes instead of ${PREHASH_BYTES}`);
      },
      signatureLengthBytes: () => messageSignatureBytes('ED25519'),
      sign: (key, parameter, input) => messageSign(nativeOf(key), formOf(parameter), input),
      verify: (key, parameter, input, signature) =>
        messageVerify(nativeOf(key), formOf(parameter), input, signature),
    },
  },
];

/** A pair for CKM_EC_KEY_PAIR_GEN whose CKA_EC_PARAMS are Ed25519's, or undefined for others. Throws
 * CKR_CURVE_NOT_SUPPORTED. */
export function generateEd25519(parameters: Buffer, kind: ClusterKind): Eventually<KeyPairDer> | undefined {
  if (!parameters.equals(ed25519Oid)) return undefined;
  if (!isSelected(clusters, kind))
    throw ckr('CKR_CURVE_NOT_SUPPORTED', `a ${kind.mode} cluster of ${kind.hsmType} has no Ed25519`);
  return generateMessageKeyPair('ED25519');
}
