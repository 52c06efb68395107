import { rsaPublicComponents } from '../../crypto/index.js';
import { CKA } from '../../pkcs11/attributes.js';
import { CKO } from '../../pkcs11/constants.js';
import { attribute, type Template } from '../../pkcs11/template.js';
import { inBatches } from '../batches.js';
import { refused } from '../failure.js';
import { fromPem } from '../pem.js';
import {
  ALL_ATTRIBUTES,
  attributeRow,
  BOOLEAN_ATTRIBUTE,
  BOOLEAN_QUESTION,
  KeyAttributes,
} from '../sdk3/attributes.js';
import { readGivenFile, writeGivenFile } from '../sdk3/files.js';
import { hsmErrorName } from '../sdk3/hsm-errors.js';
import { quorumLines } from '../sdk3/tokens.js';
import type { Given, KeyCommandRow } from './command.js';
import type { KeySession } from './session.js';

const GROUP = 'Key Management Commands';
const handleFlag = { kind: 'number', required: true, help: 'handle of the key' } as const;
/** "Valid values" of -t (the guide's page of findKey). */
const KEY_TYPES = [0, 1, 3, 16, 18, 21, 31];
const CLASSES = [CKO.CKO_PUBLIC_KEY, CKO.CKO_PRIVATE_KEY, CKO.CKO_SECRET_KEY];

/** The modulus in a file of `-m`: a public key in PEM, or the number itself in hexadecimal [guess]. */
function modulusIn(path: string): Template {
  const text = readGivenFile(path).toString('latin1').trim();
  const hex = /^(?:0x)?((?:[0-9a-fA-F]{2}\s*)+)$/.exec(text)?.[1];
  if (hex !== undefined) return [attribute(CKA.CKA_MODULUS, Buffer.from(hex.replace(/\s/g, ''), 'hex'))];
  return [attribute(CKA.CKA_MODULUS, rsaPublicComponents(fromPem('PUBLIC KEY', text)).modulus)];
}

function searchTemplate(given: Given): Template {
  const objectClass = given.findNumber('-c');
  const keyType = given.findNumber('-t');
  const label = given.find('-l');
  const id = given.find('-id');
  const session = given.findNumber('-sess');
  const modulus = given.find('-m');
  const kcv = given.find('-kcv');
  return [
    ...(objectClass === undefined ? [] : [attribute(CKA.CKA_CLASS, objectClass)]),
    ...(keyType === undefined ? [] : [attribute(CKA.CKA_KEY_TYPE, keyType)]),
    ...(label === undefined ? [] : [attribute(CKA.CKA_LABEL, label)]),
    ...(id === undefined ? [] : [attribute(CKA.CKA_ID, id)]),
    ...(session === undefined ? [] : [attribute(CKA.CKA_TOKEN, session === 0)]),
    ...(modulus === undefined ? [] : modulusIn(modulus)),
    ...(kcv === undefined
      ? []
      : [attribute(CKA.CKA_CHECK_VALUE, Buffer.from(kcv.replace(/^0x/, ''), 'hex'))]),
  ];
}

/** Of some keys those that all of these users have; of pairs, "all public keys on the HSM". */
async function usableByAll(
  session: KeySession,
  handles: readonly number[],
  ids: readonly number[],
): Promise<number[]> {
  const isPublic = [attribute(CKA.CKA_CLASS, CKO.CKO_PUBLIC_KEY)];
  const publicKeys = new Set(await session.client.findObjects(isPublic));
  const isUsable = async (handle: number): Promise<boolean> => {
    if (publicKeys.has(handle)) return true;
    const { owner, sharedWith } = await session.client.send('getKeyInfo', { handle });
    const users = new Set([owner, ...sharedWith].map(({ id }) => id));
    return ids.every((id) => users.has(id));
  };
  const usable = await inBatches(handles, 'keys', session.terminal, isUsable);
  return handles.filter((_, at) => usable[at]);
}

const findKey: KeyCommandRow = {
  name: 'findKey',
  group: GROUP,
  purpose: 'finds keys that one may use',
  login: true,
  flags: {
    '-c': { kind: 'number', choices: CLASSES, help: 'class: 2 public, 3 private, 4 secret' },
    '-t': {
      kind: 'number',
      choices: KEY_TYPES,
      help: 'type: 0 RSA, 1 DSA, 3 EC, 16 GENERIC_SECRET, 18 RC4, 21 3DES, 31 AES',
    },
    '-l': { kind: 'text', help: 'label' },
    '-id': { kind: 'text', help: 'id' },
    '-sess': { kind: 'number', choices: [0, 1], help: '1 session keys only, 0 keys that stay' },
    '-u': { kind: 'numbers', help: 'that all of these users may use' },
    '-m': { kind: 'file', help: 'file with the modulus' },
    '-kcv': { kind: 'hex', help: 'key check value' },
  },
  run: async (session, given) => {
    const template = searchTemplate(given);
    const found = await session.call('Cfm3FindKey', async (client) => {
      const handles = await client.findObjects(template);
      return given.has('-u') ? usableByAll(session, handles, given.numbers('-u')) : handles;
    });
    if (found === undefined) return;
    session.print('', `        Total number of keys present ${found.length}`, '');
    // "Last index, so count−1" (reference management-tools, section 5.5).
    if (found.length > 0)
      session.print(
        `         number of keys matched from start index 0::${found.length - 1}`,
        `        ${found.join(', ')}`,
        '',
      );
    session.printNodes();
    session.printReturn('Cfm3FindKey');
  },
};

const findSingleKey: KeyCommandRow = {
  name: 'findSingleKey',
  group: GROUP,
  purpose: 'tells whether all HSMs have a key',
  login: true,
  flags: { '-k': handleFlag },
  run: async (session, given) => {
    const handle = given.number('-k');
    await session.onEach('Cfm3FindKey', (connection) => connection.send('locateObject', { handle }));
  },
};

const getKeyInfo: KeyCommandRow = {
  name: 'getKeyInfo',
  group: GROUP,
  purpose: 'tells who owns a key, and with whom it is shared',
  login: true,
  flags: { '-k': handleFlag },
  run: async (session, given) => {
    const info = await session.call('Cfm3GetKey', (client) =>
      client.send('getKeyInfo', { handle: given.number('-k') }),
    );
    if (info === undefined) return;
    session.printReturn('Cfm3GetKey');
    session.print(`        Owned by user ${info.owner.id}`, '');
    const quorum = quorumLines(info);
    if (info.sharedWith.length === 0) {
      session.print(...quorum);
      return;
    }
    session.print(
      `        also, shared to following ${info.sharedWith.length} user(s):`,
      '',
      ...info.sharedWith.map(({ id }) => `                 ${id}`),
      ...quorum,
      '',
    );
  },
};

const deleteKey: KeyCommandRow = {
  name: 'deleteKey',
  group: GROUP,
  purpose: 'deletes a key, which is its owner’s to do',
  login: true,
  flags: { '-k': handleFlag },
  run: async (session, given) => {
    const handle = given.number('-k');
    try {
      await session.client.send('locateObject', { handle });
    } catch (error) {
      // "Unknown handle reports Cfm3FindKey" (section 5.5).
      session.printFailure('Cfm3FindKey', error);
      session.printNodes(hsmErrorName(error));
      return;
    }
    const done = await session.call('Cfm3DeleteKey', async (client) => {
      await client.destroyObject(handle);
      return true;
    });
    if (!done) return;
    session.printReturn('Cfm3DeleteKey');
    session.printNodes();
  },
};

const getAttribute: KeyCommandRow = {
  name: 'getAttribute',
  group: GROUP,
  purpose: 'writes an attribute of a key to a file, or with 512 all of them',
  login: true,
  flags: {
    '-o': handleFlag,
    '-a': { kind: 'number', required: true, help: 'number of the attribute, as listAttributes has it' },
    '-out': { kind: 'file', required: true, help: 'file to write' },
  },
  run: async (session, given) => {
    const number = given.number('-a');
    const row = attributeRow(number);
    if (row === undefined && number !== ALL_ATTRIBUTES)
      throw refused(`Error: -a: there is no attribute ${number}`);
    const attributes = await session.call('Cfm3GetAttribute', (client) =>
      KeyAttributes.read(client, given.number('-o')),
    );
    if (attributes === undefined) return;
    const values = row === undefined ? attributes.dump() : [attributes.single(row)];
    if (values[0] === undefined) throw refused(`Error: -a: the key has no attribute ${number}`);
    const lines = values.flatMap((value) => value ?? []);
    const text = `${lines.join('\n')}\n`;
    const path = given.text('-out');
    writeGivenFile(path, text);
    if (row === undefined)
      session.print(
        '',
        `Attribute size: ${text.length}, count: ${values.length}`,
        `Written to: ${path} file`,
      );
    else session.print('', `Attributes dumped into ${path} file`);
    session.printReturn('Cfm3GetAttribute');
  },
};

const TOKEN = 1;

const setAttribute: KeyCommandRow = {
  name: 'setAttribute',
  group: GROUP,
  purpose: 'makes a session key stay; cloudhsm_mgmt_util sets other attributes',
  login: true,
  flags: {
    '-o': handleFlag,
    '-a': { kind: 'number', required: true, choices: [TOKEN], help: 'the attribute: 1 OBJ_ATTR_TOKEN' },
  },
  run: async (session, given) => {
    session.print(BOOLEAN_ATTRIBUTE);
    const answer = (await session.terminal.ask(BOOLEAN_QUESTION))?.trim();
    if (answer !== '0' && answer !== '1') throw refused('Error: the value is 0 or 1');
    const done = await session.call('Cfm3SetAttribute', async (client) => {
      await client.setKeyAttribute(given.number('-o'), attribute(CKA.CKA_TOKEN, answer === '1'));
      return true;
    });
    if (!done) return;
    session.printReturn('Cfm3SetAttribute');
    session.printNodes();
  },
};

export const findCommands: readonly KeyCommandRow[] = [
  findKey,
  findSingleKey,
  getKeyInfo,
  getAttribute,
  setAttribute,
  deleteKey,
];
