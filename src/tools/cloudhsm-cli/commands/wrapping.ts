import { limits } from '../../../base/limits.js';
import type { HashName } from '../../../crypto/index.js';
import { CKA } from '../../../pkcs11/attributes.js';
import { CKK, CKO, CKZ } from '../../../pkcs11/constants.js';
import type { Mechanism } from '../../../pkcs11/layouts.js';
import { CKM } from '../../../pkcs11/mechanisms.js';
import { attribute } from '../../../pkcs11/template.js';
import { integer, many, type Options, oneOf, optional, required, requiredMany } from '../../command-row.js';
import { writeGivenFile } from '../../sdk3/files.js';
import { approvalOption, withApprovals } from '../approvals.js';
import { command } from '../context.js';
import { creationOptions, madeKey, newKeyAccess, newKeyTemplate } from '../keys/creation.js';
import { keyReference } from '../keys/description.js';
import { selectKey } from '../keys/filter.js';
import { hashKind, hashRow, mgfKind, mgfNumber } from '../keys/hashes.js';
import { fromHex, inputBytes, inputOptions } from '../keys/input.js';
import { filter } from './keys.js';

/** What a wrap mechanism is told beside the keys. */
interface MechanismValues {
  readonly 'tag-length-bits'?: number;
  readonly aad?: string | undefined;
  readonly iv?: string | undefined;
  readonly 'hash-function'?: HashName;
  readonly mgf?: string;
}

interface WrapRow {
  readonly name: string;
  readonly help: string;
  readonly options: Options;
  /** What unwrapping needs besides. */
  readonly unwrapOptions?: Options;
  readonly mechanism: (values: MechanismValues) => Mechanism;
  /** "With hyphens" (reference management-tools, section 6.3). */
  readonly separator: '_' | '-';
}

const tagOptions = {
  'tag-length-bits': required('TAG_LENGTH_BITS', 'Aes GCM tag length in bits', integer(32, 128)),
  aad: optional<string>('AAD', 'Aes GCM Additional Authenticated Data (AAD) value, in hex'),
};
const hashOptions = {
  'hash-function': required('HASH_FUNCTION', 'Hash algorithm', hashKind),
  mgf: required('MGF', 'Mask Generation Function algorithm', mgfKind),
};

const plain = (type: number) => (): Mechanism => ({ type, parameter: undefined });

const gcm =
  (type: number, ivOf: (values: MechanismValues) => Buffer) =>
  (values: MechanismValues): Mechanism => {
    const pIv = ivOf(values);
    return {
      type,
      parameter: {
        layout: 'CK_GCM_PARAMS',
        pIv,
        ulIvBits: pIv.length * 8,
        pAAD: fromHex(values.aad ?? '', '--aad'),
        ulTagBits: values['tag-length-bits']!,
      },
    };
  };

function oaep(values: MechanismValues) {
  return {
    layout: 'CK_RSA_PKCS_OAEP_PARAMS',
    hashAlg: hashRow(values['hash-function']!).digest,
    mgf: mgfNumber(values.mgf!),
    source: CKZ.CKZ_DATA_SPECIFIED,
    pSourceData: Buffer.alloc(0),
    sourceGiven: false,
  } as const;
}

/** Of the temporary key that RSA-AES wraps with [guess]. */
const TEMPORARY_KEY_BITS = 256;
/** Twelve zero bytes stand for an IV that the HSM is to make. */
const OPEN_IV = Buffer.alloc(12);
const none = {} as const;

/** THE row per mechanism that wraps. */
const wrapRows: readonly WrapRow[] = [
  {
    name: 'aes-gcm',
    help: 'AES GCM',
    options: tagOptions,
    unwrapOptions: { iv: required<string>('IV', 'Initialization vector used to wrap the key, in hex') },
    mechanism: gcm(CKM.CKM_AES_GCM, ({ iv }) => (iv === undefined ? OPEN_IV : fromHex(iv, '--iv'))),
    separator: '_',
  },
  {
    name: 'aes-no-pad',
    help: 'AES key wrap without padding',
    options: none,
    mechanism: plain(CKM.CKM_CLOUDHSM_AES_KEY_WRAP_NO_PAD),
    separator: '_',
  },
  {
    name: 'aes-pkcs5-pad',
    help: 'AES key wrap with PKCS5 padding',
    options: none,
    mechanism: plain(CKM.CKM_CLOUDHSM_AES_KEY_WRAP_PKCS5_PAD),
    separator: '_',
  },
  {
    name: 'aes-zero-pad',
    help: 'AES key wrap with zero padding',
    options: none,
    mechanism: plain(CKM.CKM_CLOUDHSM_AES_KEY_WRAP_ZERO_PAD),
    separator: '_',
  },
  {
    name: 'cloudhsm-aes-gcm',
    help: 'AES GCM with an IV that the HSM puts in front',
    options: tagOptions,
    mechanism: gcm(CKM.CKM_CLOUDHSM_AES_GCM, () => Buffer.alloc(0)),
    separator: '_',
  },
  {
    name: 'rsa-aes',
    help: 'RSA and AES',
    options: hashOptions,
    mechanism: (values) => ({
      type: CKM.CKM_RSA_AES_KEY_WRAP,
      parameter: {
        layout: 'CK_RSA_AES_KEY_WRAP_PARAMS',
        ulAESKeyBits: TEMPORARY_KEY_BITS,
        pOAEPParams: oaep(values),
      },
    }),
    separator: '-',
  },
  {
    name: 'rsa-oaep',
    help: 'RSA OAEP',
    options: hashOptions,
    mechanism: (values) => ({ type: CKM.CKM_RSA_PKCS_OAEP, parameter: oaep(values) }),
    separator: '-',
  },
  { name: 'rsa-pkcs', help: 'RSA PKCS', options: none, mechanism: plain(CKM.CKM_RSA_PKCS), separator: '_' },
];

/** THE row per kind of key that can be unwrapped. */
const unwrapped = {
  aes: [CKO.CKO_SECRET_KEY, CKK.CKK_AES],
  des3: [CKO.CKO_SECRET_KEY, CKK.CKK_DES3],
  'ec-private': [CKO.CKO_PRIVATE_KEY, CKK.CKK_EC],
  'generic-secret': [CKO.CKO_SECRET_KEY, CKK.CKK_GENERIC_SECRET],
  'rsa-private': [CKO.CKO_PRIVATE_KEY, CKK.CKK_RSA],
} as const;

const wrapping = ({ name, help, options, mechanism, separator }: WrapRow) =>
  command({
    path: ['key', 'wrap', name],
    help: `Wrap a payload key with ${help}`,
    roles: ['CU'],
    options: {
      'payload-filter': requiredMany('PAYLOAD_FILTER', 'Filter to select the payload key'),
      'wrapping-filter': requiredMany('WRAPPING_FILTER', 'Filter to select the wrapping key'),
      path: optional<string>('PATH', 'Path to the binary file where the wrapped key data will be saved'),
      'wrapping-approval': optional<string>(
        'WRAPPING_APPROVALR',
        'Filepath of signed quorum token file to approve operation for wrapping key',
      ),
      'payload-approval': optional<string>(
        'PAYLOAD_APPROVALR',
        'Filepath of signed quorum token file to approve operation for payload key',
      ),
      ...(options as typeof none),
    },
    run: async ({ cluster }, values) => {
      const handle = await selectKey(cluster, values['payload-filter']);
      const wrappingKey = await selectKey(cluster, values['wrapping-filter']);
      const request = {
        handle,
        wrappingKey,
        mechanism: mechanism(values as MechanismValues),
        roomBytes: limits.wrappedKeyBytes,
      };
      const approvals = [values['wrapping-approval'], values['payload-approval']];
      const { wrapped = Buffer.alloc(0), iv } = await withApprovals(cluster, approvals, () =>
        cluster.withClient((client) => client.wrapKey(request)),
      );
      const named = (...words: string[]): string => words.join(separator);
      if (values.path !== undefined) writeGivenFile(values.path, wrapped);
      return {
        [named('payload', 'key', 'reference')]: keyReference(handle),
        [named('wrapping', 'key', 'reference')]: keyReference(wrappingKey),
        ...(iv && { iv: `0x${iv.toString('hex')}` }),
        ...(values.path === undefined && { [named('wrapped', 'key', 'data')]: wrapped.toString('base64') }),
      };
    },
  });

const unwrapping = ({ name, help, options, unwrapOptions = none, mechanism }: WrapRow) =>
  command({
    path: ['key', 'unwrap', name],
    help: `Unwrap a key with ${help}`,
    roles: ['CU'],
    options: {
      filter,
      ...inputOptions('data', 'wrapped key data'),
      'key-type-class': required(
        'KEY_TYPE_CLASS',
        'Key type and class of wrapped key',
        oneOf('aes', 'des3', 'ec-private', 'generic-secret', 'rsa-private'),
      ),
      ...creationOptions,
      attributes: many(
        'UNWRAPPED_KEY_ATTRIBUTES',
        'Space separated list of key attributes in the form of KEY_ATTRIBUTE_NAME=KEY_ATTRIBUTE_VALUE for the unwrapped key',
      ),
      ...(options as typeof none),
      ...(unwrapOptions as typeof none),
      ...approvalOption,
    },
    run: async ({ cluster }, values) => {
      const [keyClass, keyType] = unwrapped[values['key-type-class']];
      const own = [attribute(CKA.CKA_CLASS, keyClass), attribute(CKA.CKA_KEY_TYPE, keyType)];
      const template = newKeyTemplate(values.label, values.session, own, values.attributes);
      const wrapped = inputBytes('data', values.data, values['data-path']);
      const unwrappingKey = await selectKey(cluster, values.filter);
      const access = newKeyAccess(
        values['share-crypto-users'],
        values['manage-key-quorum-value'],
        values['use-key-quorum-value'],
      );
      const request = {
        unwrappingKey,
        mechanism: mechanism(values as MechanismValues),
        wrapped,
        template,
        access,
      };
      const { handle } = await withApprovals(cluster, [values.approval], () =>
        cluster.withClient((client) => client.unwrapKey(request, () => undefined)),
      );
      return { key: await madeKey(cluster, handle) };
    },
  });

export const wrappingCommands = [...wrapRows.map(wrapping), ...wrapRows.map(unwrapping)];
