import { resolve } from 'node:path';
import { hashRows } from '../../mechanisms/hashes.js';
import { CKA } from '../../pkcs11/attributes.js';
import { CKO, CKZ } from '../../pkcs11/constants.js';
import type { Mechanism } from '../../pkcs11/layouts.js';
import { CKM } from '../../pkcs11/mechanisms.js';
import { attribute } from '../../pkcs11/template.js';
import { refused } from '../failure.js';
import { KeyAttributes } from '../sdk3/attributes.js';
import { readGivenFile, writeGivenFile } from '../sdk3/files.js';
import type { FlagRow, Given, KeyCommandRow } from './command.js';
import { common, newKeyAccess, printAttestation, requireDoable, usesOf } from './common.js';
import { splitHeader, withHeader } from './wrapped-file.js';

const GROUP = 'Key Import/Export Commands';

/** Numbers of `-t` (reference management-tools, section 5.3). */
const hashes: Readonly<Record<number, (typeof hashRows)[number]['hash']>> = {
  2: 'sha1',
  3: 'sha256',
  4: 'sha384',
  5: 'sha512',
  6: 'sha224',
};

const AES_BITS = 256;
const GCM_IV_BYTES = 12;
const GCM_TAG_BYTES = 16;

function oaep(given: Given) {
  const row = hashRows.find(({ hash }) => hash === hashes[given.findNumber('-t') ?? 3])!;
  return {
    layout: 'CK_RSA_PKCS_OAEP_PARAMS',
    hashAlg: row.digest,
    mgf: row.mgf,
    source: CKZ.CKZ_DATA_SPECIFIED,
    pSourceData: Buffer.alloc(0),
    sourceGiven: false,
  } as const;
}

const aad = (given: Given): Buffer => {
  const file = given.find('-aad');
  return file === undefined ? Buffer.alloc(0) : readGivenFile(file, 64 * 1024);
};

const gcm = (given: Given, iv: Buffer) =>
  ({
    layout: 'CK_GCM_PARAMS',
    pIv: iv,
    ulIvBits: iv.length * 8,
    pAAD: aad(given),
    ulTagBits: (given.findNumber('-tag_size') ?? GCM_TAG_BYTES) * 8,
  }) as const;

/** `-i`: an IV in hexadecimal; without one the default. */
function givenIv(given: Given): Buffer | undefined {
  const hex = given.find('-i')?.replace(/^0x/, '');
  return hex === undefined ? undefined : Buffer.from(hex.padStart(16, '0'), 'hex');
}

interface WrapRow {
  readonly name: string;
  readonly type: number;
  /** `iv`: of the file that is unwrapped. */
  parameter?(given: Given, iv: Buffer): Mechanism['parameter'];
}

/** THE row per number of `-m` (section 5.3). */
const mechanisms: Readonly<Record<number, WrapRow>> = {
  4: { name: 'AES_KEY_WRAP_PAD_PKCS5', type: CKM.CKM_CLOUDHSM_AES_KEY_WRAP_PKCS5_PAD, parameter: givenIv },
  5: { name: 'NIST_AES_WRAP_NO_PAD', type: CKM.CKM_CLOUDHSM_AES_KEY_WRAP_NO_PAD, parameter: givenIv },
  6: { name: 'NIST_AES_WRAP_PAD', type: CKM.CKM_CLOUDHSM_AES_KEY_WRAP_ZERO_PAD, parameter: givenIv },
  7: {
    name: 'RSA_AES',
    type: CKM.CKM_RSA_AES_KEY_WRAP,
    parameter: (given) => ({
      layout: 'CK_RSA_AES_KEY_WRAP_PARAMS',
      ulAESKeyBits: AES_BITS,
      pOAEPParams: oaep(given),
    }),
  },
  8: { name: 'RSA_OAEP', type: CKM.CKM_RSA_PKCS_OAEP, parameter: oaep },
  10: { name: 'AES_GCM', type: CKM.CKM_AES_GCM, parameter: gcm },
  11: {
    name: 'CLOUDHSM_AES_GCM',
    type: CKM.CKM_CLOUDHSM_AES_GCM,
    parameter: (given) => gcm(given, Buffer.alloc(0)),
  },
  12: { name: 'RSA_PKCS', type: CKM.CKM_RSA_PKCS },
};

const AES_GCM = 10;
const GCM_MECHANISMS = [AES_GCM, 11];
const IV_MECHANISMS = [4, 5, 6];
const HASH_MECHANISMS = [7, 8];
const GCM_TAG_MIN_BYTES = 8;
/** Of aesWrapUnwrap; what was wrapped has up to two blocks more, and must come back. */
const MOST_TO_WRAP_BYTES = 4095;
const MOST_TO_UNWRAP_BYTES = MOST_TO_WRAP_BYTES + 16;

const flags = {
  '-w': { kind: 'number', required: true, help: 'handle of the wrapping key' },
  '-m': {
    kind: 'number',
    required: true,
    choices: Object.keys(mechanisms).map(Number),
    help: `mechanism: ${Object.entries(mechanisms)
      .map(([number, { name }]) => `${number} ${name}`)
      .join(', ')}`,
  },
  '-aad': { kind: 'file', help: 'file with additional authenticated data, of AES_GCM' },
  '-t': {
    kind: 'number',
    choices: Object.keys(hashes).map(Number),
    help: 'hash of RSA_AES and RSA_OAEP: 2 SHA1, 3 SHA256, 4 SHA384, 5 SHA512, 6 SHA224',
  },
  '-noheader': { help: 'the file is the wrapped key alone' },
  '-i': { kind: 'hex', help: 'IV in hexadecimal, with -noheader' },
  '-iv_file': { kind: 'file', help: 'file for the IV of AES_GCM, with -noheader' },
  '-tag_size': {
    kind: 'number',
    help: `bytes of the tag of AES_GCM and CLOUDHSM_AES_GCM, with -noheader: ${GCM_TAG_MIN_BYTES} to ${GCM_TAG_BYTES}`,
  },
} as const satisfies Record<string, FlagRow>;

/** "Valid only for …" (the guide's pages of wrapKey and unWrapKey). Throws REFUSED. */
function requireFlags(given: Given): void {
  const mechanism = given.number('-m');
  const isGcm = GCM_MECHANISMS.includes(mechanism);
  if (given.has('-aad') && !isGcm)
    throw refused('Error: -aad goes with the mechanisms AES_GCM and CLOUDHSM_AES_GCM');
  if (given.has('-t') && !HASH_MECHANISMS.includes(mechanism))
    throw refused('Error: -t goes with the mechanisms RSA_AES and RSA_OAEP');
  if (given.has('-tag_size') && !(given.has('-noheader') && isGcm))
    throw refused('Error: -tag_size goes with -noheader and the mechanisms AES_GCM and CLOUDHSM_AES_GCM');
  const tagBytes = given.findNumber('-tag_size') ?? GCM_TAG_BYTES;
  if (tagBytes < GCM_TAG_MIN_BYTES || tagBytes > GCM_TAG_BYTES)
    throw refused(`Error: -tag_size is ${GCM_TAG_MIN_BYTES} to ${GCM_TAG_BYTES} bytes`);
  if (given.has('-i') && !(given.has('-noheader') && IV_MECHANISMS.includes(mechanism)))
    throw refused('Error: -i goes with -noheader and the mechanisms 4, 5 and 6');
  if (given.has('-iv_file') && !(given.has('-noheader') && mechanism === AES_GCM))
    throw refused('Error: -iv_file goes with -noheader and AES_GCM');
  // The one would be written over the other, and the key could not be unwrapped.
  if (given.has('-iv_file') && given.has('-out') && isSameFile(given.text('-iv_file'), given.text('-out')))
    throw refused('Error: -iv_file and -out name the same file');
  if (mechanism === AES_GCM && given.has('-noheader') && !given.has('-iv_file'))
    throw refused('Error: -iv_file is missing: without a header the IV has a file of its own');
}

const isSameFile = (one: string, other: string): boolean => resolve(one) === resolve(other);

const text = (value: Buffer | undefined): string => value?.toString('utf8') ?? '';

const wrapKey: KeyCommandRow = {
  name: 'wrapKey',
  group: GROUP,
  purpose: 'writes a key to a file, wrapped with another one',
  login: true,
  flags: {
    '-k': { kind: 'number', required: true, help: 'handle of the key to wrap' },
    ...flags,
    '-out': { kind: 'file', required: true, help: 'file to write' },
  },
  run: async (session, given) => {
    requireFlags(given);
    const handle = given.number('-k');
    const number = given.number('-m');
    const { type, parameter } = mechanisms[number]!;
    const open = number === AES_GCM ? Buffer.alloc(GCM_IV_BYTES) : Buffer.alloc(0);
    const made = await session.call('Cfm2WrapKey', async (client) => ({
      attributes: await KeyAttributes.read(client, handle),
      answer: await client.wrapKey({
        wrappingKey: given.number('-w'),
        handle,
        mechanism: { type, parameter: parameter?.(given, open) },
        roomBytes: Number.MAX_SAFE_INTEGER,
      }),
    }));
    if (made?.answer.wrapped === undefined) return;
    const { attributes, answer } = made;
    const header = {
      mechanism: number,
      objectClass: attributes.objectClass,
      keyType: attributes.keyType,
      label: text(attributes.bytes(CKA.CKA_LABEL)),
      id: text(attributes.bytes(CKA.CKA_ID)),
      iv: answer.iv?.toString('hex') ?? '',
    };
    const file = given.has('-noheader') ? made.answer.wrapped : withHeader(header, made.answer.wrapped);
    if (given.has('-iv_file') && answer.iv !== undefined) writeGivenFile(given.text('-iv_file'), answer.iv);
    writeGivenFile(given.text('-out'), file);
    // The quotation does not end in the original either.
    session.print(
      '',
      '        Key Wrapped.',
      '',
      `        Wrapped Key written to file "${given.text('-out')} length ${file.length}`,
    );
    session.printReturn('Cfm2WrapKey');
  },
};

interface WrappedInput {
  readonly wrapped: Buffer;
  readonly objectClass: number;
  readonly keyType: number;
  readonly label: string;
  readonly id: string | undefined;
  readonly iv: Buffer;
}

/** What is unwrapped and what becomes of it: from the header, or from the flags. Throws REFUSED. */
function inputOf(given: Given): WrappedInput {
  const file = readGivenFile(given.text('-f'));
  if (!given.has('-noheader')) {
    const unused = ['-l', '-id', '-kc', '-kt'].find((flag) => given.has(flag));
    if (unused !== undefined) throw refused(`Error: ${unused} goes with -noheader: the header says it`);
    const { header, wrapped } = splitHeader(file);
    if (header.mechanism !== given.number('-m'))
      throw refused(`Error: -m: the key was wrapped with ${header.mechanism}`);
    const { objectClass, keyType, label } = header;
    return {
      wrapped,
      objectClass,
      keyType,
      label,
      id: header.id || undefined,
      iv: Buffer.from(header.iv, 'hex'),
    };
  }
  const missing = ['-l', '-kc', '-kt'].find((flag) => !given.has(flag));
  if (missing !== undefined)
    throw refused(`Error: ${missing} is missing: without a header nothing else says it`);
  return {
    wrapped: file,
    objectClass: given.number('-kc'),
    keyType: given.number('-kt'),
    label: given.text('-l'),
    id: given.find('-id'),
    iv: given.has('-iv_file') ? readGivenFile(given.text('-iv_file'), 256) : Buffer.alloc(0),
  };
}

const { '-l': _label, '-id': _id, ...otherCommon } = common;

const unWrapKey: KeyCommandRow = {
  name: 'unWrapKey',
  group: GROUP,
  purpose: 'makes a key of the HSM from a wrapped one in a file',
  login: true,
  flags: {
    '-f': { kind: 'file', required: true, help: 'file with the wrapped key' },
    ...flags,
    ...otherCommon,
    '-l': { kind: 'text', help: 'label of the key, with -noheader' },
    '-id': { kind: 'text', help: 'id of the key, with -noheader' },
    '-kc': {
      kind: 'number',
      choices: [CKO.CKO_PRIVATE_KEY, CKO.CKO_SECRET_KEY],
      help: 'class, with -noheader: 3 private, 4 secret',
    },
    '-kt': { kind: 'number', help: 'type, with -noheader: 0 RSA, 3 EC, 16 GENERIC_SECRET, 21 3DES, 31 AES' },
  },
  run: async (session, given) => {
    requireFlags(given);
    requireDoable(session, given);
    const input = inputOf(given);
    const { type, parameter } = mechanisms[given.number('-m')]!;
    const template = [
      attribute(CKA.CKA_CLASS, input.objectClass),
      attribute(CKA.CKA_KEY_TYPE, input.keyType),
      attribute(CKA.CKA_LABEL, input.label),
      ...(input.id === undefined ? [] : [attribute(CKA.CKA_ID, input.id)]),
      attribute(CKA.CKA_TOKEN, !given.has('-sess')),
      attribute(CKA.CKA_EXTRACTABLE, !given.has('-nex')),
      ...usesOf(input.objectClass, input.keyType),
    ];
    const request = {
      unwrappingKey: given.number('-w'),
      mechanism: { type, parameter: parameter?.(given, input.iv) },
      wrapped: input.wrapped,
      template,
      access: await newKeyAccess(session, given),
    };
    const name = given.has('-noheader') ? 'Cfm2UnWrapWithTemplate3' : 'Cfm3UnWrapKey';
    const made = await session.call(name, (client) => client.unwrapKey(request, () => undefined));
    if (made === undefined) return;
    if (given.has('-noheader')) session.printReturn('Cfm3CreateUnwrapTemplate2');
    session.printReturn(name);
    session.print(`        Key Unwrapped.  Key Handle: ${made.handle}`, '');
    printAttestation(session, given);
    session.printNodes();
  },
};

/** "8 bytes per line". */
const hexLines = (bytes: Buffer): string[] =>
  (
    bytes
      .toString('hex')
      .toUpperCase()
      .match(/.{1,16}/g) ?? []
  ).map((line) => line.match(/../g)!.join(' '));

const aesWrapUnwrap: KeyCommandRow = {
  name: 'aesWrapUnwrap',
  group: GROUP,
  purpose: 'wraps the contents of a file with an AES key of the HSM, or unwraps them',
  login: true,
  flags: {
    '-m': { kind: 'number', required: true, choices: [0, 1], help: '1 wraps, 0 unwraps' },
    '-f': { kind: 'file', required: true, help: 'file to read, of less than 4096 bytes' },
    '-w': flags['-w'],
    '-i': { kind: 'hex', help: 'IV in hexadecimal; 0xA6A6A6A6A6A6A6A6 without' },
    '-out': { kind: 'file', help: 'file to write; wrapped_key or unwrapped_key without' },
  },
  run: async (session, given) => {
    const wraps = given.number('-m') === 1;
    const input = readGivenFile(given.text('-f'), wraps ? MOST_TO_WRAP_BYTES : MOST_TO_UNWRAP_BYTES);
    const handle = given.number('-w');
    const mechanism = { type: CKM.CKM_CLOUDHSM_AES_KEY_WRAP_PKCS5_PAD, parameter: givenIv(given) };
    if (!given.has('-i'))
      session.print(
        '        Warning: IV (-i) is missing.',
        '                 0xA6A6A6A6A6A6A6A6 is considered as default IV',
      );
    const name = wraps ? 'Cfm3WrapHostKey' : 'Cfm3UnWrapHostKey';
    const result = await session.call(name, (client) =>
      client.send(wraps ? 'wrapHostKey' : 'unwrapHostKey', { handle, mechanism, input }),
    );
    if (result === undefined) return;
    const path = given.find('-out') ?? (wraps ? 'wrapped_key' : 'unwrapped_key');
    writeGivenFile(path, result);
    session.print('', 'result data:', ...hexLines(result), '', `result written to file ${path}`);
    session.printReturn(name);
  },
};

export const wrapCommands: readonly KeyCommandRow[] = [wrapKey, unWrapKey, aesWrapUnwrap];
