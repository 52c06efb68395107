import { describeError } from '../../base/errors.js';
import { pem } from '../../base/pem.js';
import { importSecretKey } from '../../crypto/index.js';
import { keyWrapMechanisms } from '../../mechanisms/key-wrap.js';
import { CKA } from '../../pkcs11/attributes.js';
import { CKK, CKO } from '../../pkcs11/constants.js';
import { CKM } from '../../pkcs11/mechanisms.js';
import { attribute } from '../../pkcs11/template.js';
import { refused } from '../failure.js';
import { KeyAttributes } from '../sdk3/attributes.js';
import { readGivenFile, writeGivenFile } from '../sdk3/files.js';
import type { Given, KeyCommandRow } from './command.js';
import {
  common,
  namedTemplate,
  newKeyAccess,
  printAttestation,
  readPrivateKey,
  requireDoable,
  usesOf,
} from './common.js';
import { handle, inFile, outFile } from './flags.js';
import type { KeySession } from './session.js';

/*
 * Keys into and out of the HSMs. A key in the clear is wrapped by one HSM and unwrapped by the same, or the other way round: that is
 * how these commands do it (reference management-tools, section 8.1).
 */

const EXPORT = 'Key Import/Export Commands';

/** AES_KEY_WRAP_PAD_PKCS5: takes keys of any length. */
const hostWrap = { type: CKM.CKM_CLOUDHSM_AES_KEY_WRAP_PKCS5_PAD, parameter: undefined };

const wrappingKey = {
  kind: 'number',
  required: true,
  help: 'handle of an AES key that wraps and unwraps it',
} as const;
const wrappingKeyFile = {
  kind: 'file',
  help: 'file with the bytes of that AES key: the host does its half with it',
} as const;

/** What the HSMs would do with a wrapping key, done here with its bytes. */
async function withKeyFile(path: string, direction: 'wrap' | 'unwrap', input: Buffer): Promise<Buffer> {
  const bytes = readGivenFile(path);
  try {
    if (![16, 24, 32].includes(bytes.length))
      throw refused(`Error: -wk: ${bytes.length} bytes are no AES key`);
    const key = { keyType: CKK.CKK_AES, bits: bytes.length * 8, native: importSecretKey(bytes) };
    const { wrap } = keyWrapMechanisms.find(({ type }) => type === hostWrap.type)!;
    if (direction === 'wrap') return (await wrap!.wrap(key, undefined, input)).wrapped;
    return await wrap!.unwrap(key, undefined, input);
  } catch (error) {
    throw refused(`Error: -wk: the key in the file does not fit: ${describeError(error)}`);
  } finally {
    bytes.fill(0);
  }
}

/** A key in the clear; undefined, and said why, where it does not come out. */
async function exported(session: KeySession, given: Given): Promise<Buffer | undefined> {
  const wrapped = await session.call('Cfm3WrapKey', (client) =>
    client.wrapKey({
      wrappingKey: given.number('-w'),
      handle: given.number('-k'),
      mechanism: hostWrap,
      roomBytes: Number.MAX_SAFE_INTEGER,
    }),
  );
  if (wrapped?.wrapped === undefined) return undefined;
  session.printReturn('Cfm3WrapKey');
  const input = wrapped.wrapped;
  const keyFile = given.find('-wk');
  if (keyFile !== undefined) return withKeyFile(keyFile, 'unwrap', input);
  const plain = await session.call('Cfm3UnWrapHostKey', (client) =>
    client.send('unwrapHostKey', { handle: given.number('-w'), mechanism: hostWrap, input }),
  );
  if (plain !== undefined) session.printReturn('Cfm3UnWrapHostKey');
  return plain;
}

/** Writes what an exported key is to be in its file; its bytes are cleansed, also where they cannot be written. */
function writeKeyFile(given: Given, plain: Buffer, contents: Buffer | string): void {
  try {
    writeGivenFile(given.text('-out'), contents);
  } finally {
    plain.fill(0);
  }
}

const exportFlags = {
  '-k': handle,
  '-w': wrappingKey,
  '-out': outFile,
  '-m': { kind: 'number', choices: [4], help: 'mechanism: 4 AES_KEY_WRAP_PAD_PKCS5' },
  '-wk': wrappingKeyFile,
} as const;

async function requireClass(
  session: KeySession,
  handle: number,
  objectClass: number,
  name: string,
): Promise<boolean> {
  const attributes = await session.call(name, (client) => KeyAttributes.read(client, handle));
  if (attributes === undefined) return false;
  if (attributes.objectClass !== objectClass)
    throw refused(
      objectClass === CKO.CKO_SECRET_KEY
        ? 'Error: -k: it is no symmetric key'
        : 'Error: -k: it is no private key',
    );
  return true;
}

const exSymKey: KeyCommandRow = {
  name: 'exSymKey',
  group: EXPORT,
  purpose: 'writes a symmetric key to a file, in the clear',
  login: true,
  flags: exportFlags,
  run: async (session, given) => {
    if (!(await requireClass(session, given.number('-k'), CKO.CKO_SECRET_KEY, 'Cfm3WrapKey'))) return;
    const plain = await exported(session, given);
    if (plain === undefined) return;
    writeKeyFile(given, plain, plain);
    session.print('', `Wrapped Symmetric Key written to file "${given.text('-out')}"`, '');
  },
};

const exportPrivateKey: KeyCommandRow = {
  name: 'exportPrivateKey',
  group: EXPORT,
  purpose: 'writes a private key to a PEM file, in the clear',
  login: true,
  flags: exportFlags,
  run: async (session, given) => {
    if (!(await requireClass(session, given.number('-k'), CKO.CKO_PRIVATE_KEY, 'Cfm3WrapKey'))) return;
    const plain = await exported(session, given);
    if (plain === undefined) return;
    writeKeyFile(given, plain, pem('PRIVATE KEY', plain));
    session.print('', `PEM formatted private key is written to ${given.text('-out')}`, '');
  },
};

interface Incoming {
  readonly plain: Buffer;
  readonly objectClass: number;
  readonly keyType: number;
  /** `Symmetric` or `Private`, as it is printed. */
  readonly title: string;
}

async function bringIn(
  session: KeySession,
  given: Given,
  { plain, objectClass, keyType, title }: Incoming,
): Promise<void> {
  const handle = given.number('-w');
  const keyFile = given.find('-wk');
  try {
    requireDoable(session, given);
    const access = await newKeyAccess(session, given);
    const wrapped =
      keyFile === undefined
        ? await session.call('Cfm3WrapHostKey', (client) =>
            client.send('wrapHostKey', { handle, mechanism: hostWrap, input: plain }),
          )
        : await withKeyFile(keyFile, 'wrap', plain);
    if (wrapped === undefined) return;
    if (keyFile === undefined) session.printReturn('Cfm3WrapHostKey');
    session.printReturn('Cfm3CreateUnwrapTemplate');
    const template = [
      attribute(CKA.CKA_CLASS, objectClass),
      attribute(CKA.CKA_KEY_TYPE, keyType),
      attribute(CKA.CKA_EXTRACTABLE, !given.has('-nex')),
      ...namedTemplate(given),
      ...usesOf(objectClass, keyType),
    ];
    const made = await session.call('Cfm3UnWrapKey', (client) =>
      client.unwrapKey(
        { unwrappingKey: handle, mechanism: hostWrap, wrapped, template, access },
        () => undefined,
      ),
    );
    if (made === undefined) return;
    session.printReturn('Cfm3UnWrapKey');
    session.print(`        ${title} Key Unwrapped.  Key Handle: ${made.handle}`, '');
    printAttestation(session, given);
    session.printNodes();
  } finally {
    plain.fill(0);
  }
}

const { '-nex': _notHere, ...importFlags } = common;
/** "-m_value" is not among its flags (reference management-tools, section 5.2). */
const { '-m_value': _norHere, ...symmetricImportFlags } = importFlags;

const imSymKey: KeyCommandRow = {
  name: 'imSymKey',
  group: EXPORT,
  purpose: 'makes a key of the HSM from the bytes of a symmetric key in a file',
  login: true,
  flags: {
    '-f': inFile,
    '-w': wrappingKey,
    '-t': {
      kind: 'number',
      required: true,
      choices: [CKK.CKK_DES3, CKK.CKK_AES],
      help: 'type: 21 3DES, 31 AES',
    },
    '-wk': wrappingKeyFile,
    ...symmetricImportFlags,
  },
  run: (session, given) =>
    bringIn(session, given, {
      plain: readGivenFile(given.text('-f'), 4096),
      objectClass: CKO.CKO_SECRET_KEY,
      keyType: given.number('-t'),
      title: 'Symmetric',
    }),
};

const importPrivateKey: KeyCommandRow = {
  name: 'importPrivateKey',
  group: EXPORT,
  purpose: 'makes a key of the HSM from a private key in a PEM file',
  login: true,
  flags: { '-f': inFile, '-w': wrappingKey, '-wk': wrappingKeyFile, ...importFlags },
  run: async (session, given) => {
    const { pkcs8, keyType } = readPrivateKey(given.text('-f'));
    session.print(`BER encoded key length is ${pkcs8.length}`);
    await bringIn(session, given, {
      plain: pkcs8,
      objectClass: CKO.CKO_PRIVATE_KEY,
      keyType,
      title: 'Private',
    });
  },
};

export const transferCommands: readonly KeyCommandRow[] = [
  importPrivateKey,
  exportPrivateKey,
  imSymKey,
  exSymKey,
];
