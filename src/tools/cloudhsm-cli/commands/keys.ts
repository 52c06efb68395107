import { pem } from '../../../base/pem.js';
import {
  CryptoError,
  curveByName,
  curveByOid,
  ecPublicComponents,
  ecPublicKeyInfo,
  ed25519Oid,
  ed25519PublicKeyInfo,
  rsaPublicComponents,
  rsaPublicKeyInfo,
} from '../../../crypto/index.js';
import { CKA } from '../../../pkcs11/attributes.js';
import { CKK, CKO } from '../../../pkcs11/constants.js';
import { type Attribute, attribute, ulongOf } from '../../../pkcs11/template.js';
import { flag, integer, many, oneOf, optional, required, requiredMany } from '../../command-row.js';
import { readNamedFile } from '../../connection/identity.js';
import { refused } from '../../failure.js';
import { fromPem } from '../../pem.js';
import { referencePem } from '../../reference-pem.js';
import { writeGivenFile } from '../../sdk3/files.js';
import { approvalOption, withApprovals } from '../approvals.js';
import type { CliCluster } from '../cluster.js';
import { command } from '../context.js';
import { attributeFrom, octetString, pointOf } from '../keys/attributes.js';
import { madeKey, newKeyTemplate } from '../keys/creation.js';
import { briefKey, type KnownKey, readKey, readKeys, verboseKey } from '../keys/description.js';
import { findKeys, keyFilter, selectKey } from '../keys/filter.js';
import { roleKind, roleOf } from '../names.js';

export const FILTER_HELP =
  'Key reference (e.g. key-reference=0xabc) or space separated list of key attributes in the form of attr.KEY_ATTRIBUTE_NAME=KEY_ATTRIBUTE_VALUE to select a matching key';
export const filter = requiredMany('FILTER', FILTER_HELP);

const DEFAULT_ITEMS = 10;

/** "Only in the form of": the public half of a private key, for a file. */
function publicHalf(key: KnownKey) {
  const { attributes } = key;
  const modulus = attributes.get(CKA.CKA_MODULUS);
  if (modulus !== undefined)
    return { type: 'RSA', modulus, publicExponent: attributes.get(CKA.CKA_PUBLIC_EXPONENT)! } as const;
  const parameters = attributes.get(CKA.CKA_EC_PARAMS);
  const point = attributes.get(CKA.CKA_EC_POINT);
  const curve = parameters && curveByOid(parameters);
  if (curve === undefined || point === undefined)
    throw refused('a file can be made for RSA and EC keys only');
  return {
    type: 'EC',
    parameters: parameters!,
    point,
    orderBytes: curveByName(curve.name).orderLengthBytes,
    curve,
  } as const;
}

/** "reference-pem | pem | ksp-key-reference" (reference management-tools, section 6.3). */
const encodings = ['reference-pem', 'pem', 'ksp-key-reference'] as const;

function keyFile(key: KnownKey, encoding: (typeof encodings)[number]): string {
  if (encoding === 'ksp-key-reference')
    throw refused(
      'what a ksp-key-reference file holds is not public, and the KSP is for Windows: reference-pem files are for OpenSSL',
    );
  const isPrivate = ulongOf(key.attributes.get(CKA.CKA_CLASS)!) === CKO.CKO_PRIVATE_KEY;
  if (isPrivate !== (encoding === 'reference-pem'))
    throw refused(`${encoding} is for ${isPrivate ? 'public' : 'private'} keys`);
  if (encoding === 'reference-pem') return referencePem(key.handle, publicHalf(key));
  return pem('PUBLIC KEY', publicKeyInfo(key));
}

function publicKeyInfo(key: KnownKey): Buffer {
  // Of an Ed25519 private key there is no reference file: OpenSSL's engine has no such keys.
  if (key.attributes.get(CKA.CKA_EC_PARAMS)?.equals(ed25519Oid))
    return ed25519PublicKeyInfo(pointOf(key.attributes.get(CKA.CKA_EC_POINT)!));
  const half = publicHalf(key);
  return half.type === 'RSA' ? rsaPublicKeyInfo(half) : ecPublicKeyInfo(half.curve.name, pointOf(half.point));
}

/** THE row per kind of public key that can be imported. */
const imports = {
  'rsa-public': (spki: Buffer): Attribute[] => {
    const { modulus, publicExponent } = rsaPublicComponents(spki);
    return [
      attribute(CKA.CKA_KEY_TYPE, CKK.CKK_RSA),
      attribute(CKA.CKA_MODULUS, modulus),
      attribute(CKA.CKA_PUBLIC_EXPONENT, publicExponent),
    ];
  },
  'ec-public': (spki: Buffer): Attribute[] => {
    const { curve, point } = ecPublicComponents(spki);
    return [
      attribute(CKA.CKA_KEY_TYPE, CKK.CKK_EC),
      attribute(CKA.CKA_EC_PARAMS, curveByName(curve).oid),
      attribute(CKA.CKA_EC_POINT, octetString(point)),
    ];
  },
} as const;

function importedParts(kind: keyof typeof imports, path: string): Attribute[] {
  const spki = fromPem('PUBLIC KEY', readNamedFile(path).toString('utf8'));
  try {
    return imports[kind](spki);
  } catch (error) {
    if (error instanceof CryptoError) throw refused(`${path} holds no ${kind} key that the HSM takes`, error);
    throw error;
  }
}

async function shareWith(
  cluster: CliCluster,
  how: 'shareKey' | 'unshareKey',
  {
    filter: words,
    username,
    role,
    approval,
  }: {
    filter: readonly string[];
    username: string;
    role: 'admin' | 'crypto-user';
    approval: string | undefined;
  },
): Promise<void> {
  if (roleOf(role) !== 'CU') throw refused('keys are shared with users of the role crypto-user');
  const handle = await selectKey(cluster, words);
  await withApprovals(cluster, [approval], () =>
    cluster.withClient((client) => client[how](handle, username)),
  );
}

const shareOptions = {
  filter,
  username: required<string>('USERNAME', 'A username with which the key will be shared'),
  role: required('ROLE', 'Role the user has in the Cluster', roleKind),
  ...approvalOption,
};

export const keyCommands = [
  command({
    path: ['key', 'list'],
    help: 'List the keys for the current user',
    roles: ['CO', 'CU'],
    options: {
      filter: many('FILTER', FILTER_HELP),
      'max-items': optional(
        'MAX_ITEMS',
        "The total number of items to return in the command's output",
        integer(1, 100_000),
      ),
      'starting-token': optional(
        'STARTING_TOKEN',
        'A token to specify where to start paginating',
        integer(0, 100_000_000),
      ),
      verbose: {
        ...flag('If included, prints all attributes and key information for each matched key'),
        short: 'v',
      },
    },
    run: async ({ cluster, terminal }, values) => {
      const found = await findKeys(cluster, keyFilter(values.filter), terminal);
      const start = values['starting-token'] ?? 0;
      const end = start + (values['max-items'] ?? DEFAULT_ITEMS);
      const page = found.slice(start, end);
      const hsms = cluster.group.connected.length;
      const isAdmin = cluster.login?.role === 'admin';
      const matched = isAdmin
        ? page.map(({ handle, label = '' }) => briefKey(handle, label))
        : (
            await readKeys(
              cluster,
              page.map(({ handle }) => handle),
              terminal,
            )
          ).map((key) =>
            values.verbose ? verboseKey(key, hsms) : briefKey(key.handle, key.infos[0]!.label),
          );
      return {
        matched_keys: matched,
        total_key_count: found.length,
        returned_key_count: matched.length,
        ...(end < found.length && { next_token: String(end) }),
      };
    },
  }),
  command({
    path: ['key', 'delete'],
    help: 'Delete a key from the HSM cluster',
    roles: ['CU'],
    options: { filter },
    run: async ({ cluster }, { filter: words }) => {
      const handle = await selectKey(cluster, words);
      await cluster.withClient((client) => client.destroyObject(handle));
      return { message: 'Key deleted successfully' };
    },
  }),
  command({
    path: ['key', 'set-attribute'],
    help: 'Set an attribute for a key in the HSM cluster',
    roles: ['CO', 'CU'],
    options: {
      filter,
      name: required<string>('KEY_ATTRIBUTE', 'Name of attribute to be set'),
      value: required<string>('KEY_ATTRIBUTE_VALUE', 'Value of attribute to be set'),
      ...approvalOption,
    },
    run: async ({ cluster }, { filter: words, name, value, approval }) => {
      const entry = attributeFrom(name, value);
      // "Forbidden change" (section 6.4), also of a key that is extractable already.
      if (name === 'extractable' && value === 'true')
        throw refused('Attribute extractable cannot be set to the value true by the user for this operation');
      const handle = await selectKey(cluster, words);
      await withApprovals(cluster, [approval], async () => {
        if (cluster.login?.role === 'admin')
          await cluster.onConnected('Set attribute', (connection) =>
            connection.send('setKeyAttribute', { handle, attribute: entry }),
          );
        else await cluster.withClient((client) => client.setKeyAttribute(handle, entry));
      });
      return { message: 'Attribute set successfully' };
    },
  }),
  command({
    path: ['key', 'share'],
    help: 'Share a key in the HSM cluster with another user',
    roles: ['CU'],
    options: shareOptions,
    run: async ({ cluster }, values) => {
      await shareWith(cluster, 'shareKey', values);
      return { message: 'Key shared successfully' };
    },
  }),
  command({
    path: ['key', 'unshare'],
    help: 'Unshare a key in the HSM cluster with another user',
    roles: ['CU'],
    options: shareOptions,
    run: async ({ cluster }, values) => {
      await shareWith(cluster, 'unshareKey', values);
      return { message: 'Key unshared successfully' };
    },
  }),
  command({
    path: ['key', 'generate-file'],
    help: 'Generate a key file from a key in the HSM cluster. This command does not export any private key data from the HSM',
    roles: ['CU'],
    options: {
      filter,
      encoding: required('ENCODING', 'Encoding format for the key file', oneOf(...encodings)),
      path: required<string>('PATH', 'Filepath where the key file will be written'),
    },
    run: async ({ cluster }, { filter: words, encoding, path }) => {
      const key = await readKey(cluster, await selectKey(cluster, words));
      writeGivenFile(path, keyFile(key, encoding));
      return { message: 'Successfully generated key file' };
    },
  }),
  command({
    path: ['key', 'import', 'pem'],
    help: 'Import key from a PEM file',
    roles: ['CU'],
    options: {
      path: required<string>('PATH', 'Path where the key is located in PEM format'),
      label: required<string>('LABEL', 'Label for the imported key'),
      'key-type-class': required(
        'KEY_TYPE_CLASS',
        'Key type and class of the imported key',
        oneOf('ec-public', 'rsa-public'),
      ),
      attributes: many(
        'IMPORT_KEY_ATTRIBUTES',
        'Space separated list of key attributes in the form of KEY_ATTRIBUTE_NAME=KEY_ATTRIBUTE_VALUE for the imported key',
      ),
    },
    run: async ({ cluster }, { path, label, 'key-type-class': kind, attributes }) => {
      const own = [attribute(CKA.CKA_CLASS, CKO.CKO_PUBLIC_KEY), ...importedParts(kind, path)];
      const template = newKeyTemplate(label, false, own, attributes);
      const handle = await cluster.withClient((client) => client.createObject(template));
      return { key: await madeKey(cluster, handle), message: 'Successfully imported key' };
    },
  }),
];
