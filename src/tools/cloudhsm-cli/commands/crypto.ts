import { digest, type HashName, hashLengthBytes } from '../../../crypto/index.js';
import type { Mechanism } from '../../../pkcs11/layouts.js';
import { CKM } from '../../../pkcs11/mechanisms.js';
import {
  integer,
  type Kind,
  type Options,
  oneOf,
  optional,
  required,
  requiredMany,
} from '../../command-row.js';
import { refused } from '../../failure.js';
import { approvalOption, withApprovals } from '../approvals.js';
import { type CliContext, command } from '../context.js';
import { keyReference } from '../keys/description.js';
import { selectKey } from '../keys/filter.js';
import { hashKind, hashRow, mgfKind, mgfNumber } from '../keys/hashes.js';
import { inputBytes, inputOptions } from '../keys/input.js';

interface SignValues {
  readonly 'hash-function'?: HashName | 'shake256';
  readonly 'data-type'?: 'raw' | 'digest' | 'external-mu' | undefined;
  readonly mgf?: string;
  readonly 'salt-length'?: number;
}

/** A mechanism and what of the data it signs. */
interface Signing {
  readonly mechanism: Mechanism;
  readonly input: Buffer;
}

interface SignRow {
  readonly name: string;
  readonly help: string;
  readonly options: Options;
  readonly prepare: (values: SignValues, data: Buffer) => Signing;
}

/** "`digest` means the data are hashed already" (reference management-tools, section 6.5); others are hashed here. */
function hashed({ 'hash-function': name, 'data-type': type }: SignValues, data: Buffer): Buffer {
  const hash = name as HashName;
  if (type !== 'digest') return digest(hash, data);
  if (data.length !== hashLengthBytes[hash])
    throw refused(`a ${hash} digest has ${hashLengthBytes[hash]} bytes, not ${data.length}`);
  return data;
}

const hashOf = ({ 'hash-function': name }: SignValues) => hashRow(name as HashName);
const mechanism = (type: number, parameter?: Mechanism['parameter']): Mechanism => ({ type, parameter });

const hashOptions = (kind: Kind<string> = hashKind) => ({
  'hash-function': required('HASH_FUNCTION', 'Hash function', kind),
  'data-type': optional(
    'DATA_TYPE',
    'The type of data passed in, either raw or digest [default: raw]',
    oneOf('raw', 'digest'),
  ),
});

/** THE row per way to sign. */
const signRows: readonly SignRow[] = [
  {
    name: 'ecdsa',
    help: 'the ECDSA mechanism',
    options: hashOptions(),
    prepare: (values, data) => ({ mechanism: mechanism(CKM.CKM_ECDSA), input: hashed(values, data) }),
  },
  {
    name: 'rsa-pkcs',
    help: 'the RSA-PKCS mechanism',
    options: hashOptions(),
    prepare: (values, data) => ({
      mechanism: mechanism(CKM.CKM_RSA_PKCS),
      input: Buffer.concat([hashOf(values).digestInfoPrefix, hashed(values, data)]),
    }),
  },
  {
    name: 'rsa-pkcs-pss',
    help: 'the RSA-PKCS-PSS mechanism',
    options: {
      ...hashOptions(),
      mgf: required('MGF', 'Mask generation function', mgfKind),
      'salt-length': required('SALT_LENGTH', 'Salt length in bytes', integer(0, 512)),
    },
    prepare: (values, data) => ({
      mechanism: mechanism(CKM.CKM_RSA_PKCS_PSS, {
        layout: 'CK_RSA_PKCS_PSS_PARAMS',
        hashAlg: hashOf(values).digest,
        mgf: mgfNumber(values.mgf!),
        sLen: values['salt-length']!,
      }),
      input: hashed(values, data),
    }),
  },
  {
    name: 'ed25519',
    help: 'the Ed25519 mechanism',
    options: {},
    prepare: (_values, data) => ({ mechanism: mechanism(CKM.CKM_CLOUDHSM_EDDSA), input: data }),
  },
  {
    name: 'ed25519ph',
    help: 'the Ed25519ph mechanism',
    options: hashOptions(oneOf('sha512')),
    prepare: (values, data) => ({
      mechanism: mechanism(CKM.CKM_CLOUDHSM_EDDSA, {
        layout: 'CK_EDDSA_PARAMS',
        phFlag: true,
        pContextData: Buffer.alloc(0),
      }),
      input: hashed(values, data),
    }),
  },
  {
    name: 'ml-dsa',
    help: 'the ML-DSA mechanism',
    options: {
      'hash-function': required('HASH_FUNCTION', 'Hash function', oneOf('shake256')),
      'data-type': optional(
        'DATA_TYPE',
        'The type of data passed in, either raw or external-mu [default: raw]',
        oneOf('raw', 'external-mu'),
      ),
    },
    prepare: (values, data) => ({
      mechanism: mechanism(
        values['data-type'] === 'external-mu' ? CKM.CKM_CLOUDHSM_EXT_MU_ML_DSA : CKM.CKM_CLOUDHSM_ML_DSA,
      ),
      input: data,
    }),
  },
];

const keyFilter = requiredMany(
  'KEY_FILTER',
  'Key reference (e.g. key-reference=0xabc) or space separated list of key attributes in the form of attr.KEY_ATTRIBUTE_NAME=KEY_ATTRIBUTE_VALUE to select a matching key',
);
const none = {} as const;

interface Given extends SignValues {
  readonly 'key-filter': readonly string[];
  readonly data: string | undefined;
  readonly 'data-path': string | undefined;
}

async function prepared({ cluster }: CliContext, { prepare }: SignRow, values: Given) {
  const signing = prepare(values, inputBytes('data', values.data, values['data-path']));
  return { ...signing, handle: await selectKey(cluster, values['key-filter']) };
}

const signing = (row: SignRow) =>
  command({
    path: ['crypto', 'sign', row.name],
    help: `Sign with ${row.help}`,
    roles: ['CU'],
    options: {
      'key-filter': keyFilter,
      ...inputOptions('data', 'data to be signed'),
      ...(row.options as typeof none),
      ...approvalOption,
    },
    run: async (context, values) => {
      const request = await prepared(context, row, values);
      const { handle } = request;
      const signature = await withApprovals(context.cluster, [values.approval], () =>
        context.cluster.withClient(async (client) => {
          await client.requireAvailable(handle);
          return client.send('sign', request);
        }),
      );
      return { 'key-reference': keyReference(handle), signature: signature.toString('base64') };
    },
  });

const verifying = (row: SignRow) =>
  command({
    path: ['crypto', 'verify', row.name],
    help: `Verify with ${row.help}`,
    roles: ['CU'],
    options: {
      'key-filter': keyFilter,
      ...inputOptions('data', 'data to be verified'),
      ...inputOptions('signature', 'signature to be verified'),
      ...(row.options as typeof none),
    },
    run: async (context, values) => {
      const signature = inputBytes('signature', values.signature, values['signature-path']);
      const request = { ...(await prepared(context, row, values)), signature };
      const isValid = await context.cluster.withClient(async (client) => {
        await client.requireAvailable(request.handle);
        return client.send('verify', request);
      });
      if (!isValid) throw refused('Signature verification failed');
      return { message: 'Signature verified successfully' };
    },
  });

export const cryptoCommands = [...signRows.map(signing), ...signRows.map(verifying)];
