import { CKA } from '../../../pkcs11/attributes.js';
import { CKM } from '../../../pkcs11/mechanisms.js';
import { attribute, type Template } from '../../../pkcs11/template.js';
import { integer, type Kind, oneOf, required } from '../../command-row.js';
import { usage } from '../../failure.js';
import type { CliCluster } from '../cluster.js';
import { command } from '../context.js';
import { curveOid, curveWords, mlDsaAlgorithms } from '../keys/attributes.js';
import { creationOptions, madeKey, newKeyAccess, newKeyTemplate, pairOptions } from '../keys/creation.js';

interface SymmetricValues {
  readonly label: string;
  readonly session: boolean;
  readonly attributes: readonly string[];
  readonly 'share-crypto-users': readonly string[];
  readonly 'manage-key-quorum-value': number | undefined;
  readonly 'use-key-quorum-value': number | undefined;
  readonly 'key-length-bytes': number;
}

const symmetric = (name: string, help: string, mechanism: number, length: Kind<number>) =>
  command({
    path: ['key', 'generate-symmetric', name],
    help,
    roles: ['CU'],
    options: {
      ...creationOptions,
      'key-length-bytes': required('KEY_LENGTH_BYTES', 'Key length in bytes', length),
    },
    run: async ({ cluster }, values: SymmetricValues) => {
      const { label, session, attributes, 'key-length-bytes': lengthBytes } = values;
      const own = [attribute(CKA.CKA_VALUE_LEN, lengthBytes)];
      const template = newKeyTemplate(label, session, own, attributes);
      const access = newKeyAccess(
        values['share-crypto-users'],
        values['manage-key-quorum-value'],
        values['use-key-quorum-value'],
      );
      const handle = await cluster.withClient((client) =>
        client.generateKey(mechanism, template, undefined, access),
      );
      return { key: await madeKey(cluster, handle) };
    },
  });

interface PairValues {
  readonly 'public-label': string;
  readonly 'private-label': string;
  readonly session: boolean;
  readonly 'public-attributes': readonly string[];
  readonly 'private-attributes': readonly string[];
  readonly 'share-crypto-users': readonly string[];
  readonly 'manage-private-key-quorum-value': number | undefined;
  readonly 'use-private-key-quorum-value': number | undefined;
}

async function generatePair(
  cluster: CliCluster,
  mechanism: number,
  own: Template,
  values: PairValues,
): Promise<object> {
  const { session } = values;
  const publicTemplate = newKeyTemplate(values['public-label'], session, own, values['public-attributes']);
  const privateTemplate = newKeyTemplate(values['private-label'], session, [], values['private-attributes']);
  const access = newKeyAccess(
    values['share-crypto-users'],
    values['manage-private-key-quorum-value'],
    values['use-private-key-quorum-value'],
  );
  const { publicKey, privateKey } = await cluster.withClient((client) =>
    client.generateKeyPair(mechanism, publicTemplate, privateTemplate, undefined, access),
  );
  return {
    public_key: await madeKey(cluster, publicKey),
    private_key: await madeKey(cluster, privateKey),
  };
}

/** An odd number as bytes, big-endian. */
const exponent: Kind<Buffer> = {
  read: (value, option) => {
    if (!/^\d{1,20}$/.test(value) || BigInt(value) % 2n === 0n)
      throw usage(`invalid value for '${option}': an odd number from 65537 on is possible`);
    const digits = BigInt(value).toString(16);
    return Buffer.from(digits.padStart(digits.length + (digits.length % 2), '0'), 'hex');
  },
};

export const keyGenerationCommands = [
  symmetric('aes', 'Generate an AES key', CKM.CKM_AES_KEY_GEN, {
    choices: ['16', '24', '32'],
    read: (value, option) => Number(oneOf('16', '24', '32').read(value, option)),
  }),
  symmetric(
    'generic-secret',
    'Generate a Generic Secret key',
    CKM.CKM_GENERIC_SECRET_KEY_GEN,
    integer(1, 800),
  ),
  command({
    path: ['key', 'generate-asymmetric-pair', 'rsa'],
    help: 'Generate an RSA key pair',
    roles: ['CU'],
    options: {
      ...pairOptions,
      'modulus-size-bits': required(
        'MODULUS_SIZE_BITS',
        'Modulus size in bits used to generate the RSA key pair',
        integer(2048, 16_384),
      ),
      'public-exponent': required(
        'PUBLIC_EXPONENT',
        'Public exponent used to generate the RSA key pair',
        exponent,
      ),
    },
    run: ({ cluster }, values) => {
      const own = [
        attribute(CKA.CKA_MODULUS_BITS, values['modulus-size-bits']),
        attribute(CKA.CKA_PUBLIC_EXPONENT, values['public-exponent']),
      ];
      return generatePair(cluster, CKM.CKM_RSA_X9_31_KEY_PAIR_GEN, own, values);
    },
  }),
  command({
    path: ['key', 'generate-asymmetric-pair', 'ec'],
    help: 'Generate an Elliptic-Curve Cryptography (ECC) key pair',
    roles: ['CU'],
    options: {
      ...pairOptions,
      curve: required('CURVE', 'Elliptic curve used to generate the key pair', oneOf(...curveWords)),
    },
    run: ({ cluster }, values) =>
      generatePair(
        cluster,
        CKM.CKM_EC_KEY_PAIR_GEN,
        [attribute(CKA.CKA_EC_PARAMS, curveOid(values.curve))],
        values,
      ),
  }),
  command({
    path: ['key', 'generate-asymmetric-pair', 'ml-dsa'],
    help: 'Generate an ML-DSA key pair',
    roles: ['CU'],
    options: {
      ...pairOptions,
      'mldsa-algorithm': required(
        'MLDSA_ALGORITHM',
        'ML-DSA algorithm of the key pair',
        oneOf('ML-DSA-44', 'ML-DSA-65', 'ML-DSA-87'),
      ),
    },
    run: ({ cluster }, values) => {
      const own = [attribute(CKA.CKA_CLOUDHSM_PARAMETER_SET, mlDsaAlgorithms[values['mldsa-algorithm']])];
      return generatePair(cluster, CKM.CKM_CLOUDHSM_ML_DSA_KEY_PAIR_GEN, own, values);
    },
  }),
];
