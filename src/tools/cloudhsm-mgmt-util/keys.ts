import type { HsmConnection } from '../../hsm/hsm.js';
import { type Attribute, boolBytes, type Template } from '../../pkcs11/template.js';
import { refused } from '../failure.js';
import {
  ALL_ATTRIBUTES,
  type AttributeRow,
  attributeLines,
  attributeRow,
  BOOLEAN_ATTRIBUTE,
  BOOLEAN_QUESTION,
  KeyAttributes,
} from '../sdk3/attributes.js';
import { writeGivenFile } from '../sdk3/files.js';
import { quorumLines } from '../sdk3/tokens.js';
import type { CommandRow, Given } from './command.js';
import type { Server, Session } from './session.js';

const file = { name: 'output file', kind: 'file', optional: true } as const;
const key = { name: 'key-handle', kind: 'number' } as const;

/** The lines that a command prints go to a file as well, if one is named. */
async function withFile(
  session: Session,
  given: Given,
  command: string,
  work: (connection: HsmConnection, server: Server) => Promise<readonly string[]>,
): Promise<void> {
  const all: string[] = [];
  await session.each(command, async (connection, server) => {
    const lines = await work(connection, server);
    session.print(...lines);
    all.push(...lines);
  });
  const path = given.find(file.name);
  if (path !== undefined) writeGivenFile(path, `${all.join('\n')}\n`);
}

/** The name of a user by its id, on this HSM. Throws REFUSED. */
export async function nameOfUser(connection: HsmConnection, id: number): Promise<string> {
  const users = await connection.send('listUsers', undefined);
  const user = users.find((one) => one.id === id);
  if (user === undefined) throw refused(`there is no user with the id ${id}`);
  return user.name;
}

const findAllKeys: CommandRow = {
  name: 'findAllKeys',
  purpose: "lists a user's keys: those it owns (o), and those that are shared with it (s)",
  who: 'CO',
  arguments: [{ name: 'user-id', kind: 'number' }, { name: 'key-hash', kind: 'flag' }, file],
  run: (session, given) =>
    withFile(session, given, 'findAllKeys', async (connection, server) => {
      const user = await nameOfUser(connection, given.number('user-id'));
      const keys = await connection.send('findAllKeys', { user, template: [] });
      const lines = [
        `Keys on ${server.title}:`,
        `Number of keys found ${keys.length}`,
        `number of keys matched from start index 0::${keys.length}`,
        keys.map(({ handle, shared }) => `${handle}(${shared ? 's' : 'o'})`).join(','),
      ];
      // "Absent for a user without keys".
      if (given.number('key-hash') === 1 && keys.length > 0) {
        const hash = await connection.send('getKeysHash', undefined);
        lines.push('Key Hash:', hash.toString('hex'), '');
      }
      return [...lines, `findAllKeys success${session.on(server)}`, ''];
    }),
};

const getKeyInfo: CommandRow = {
  name: 'getKeyInfo',
  purpose: 'tells who owns a key, and with whom it is shared',
  who: 'CU who own it or share it; CO [ours]',
  arguments: [key, file],
  leadingFlag: '-k',
  run: (session, given) =>
    withFile(session, given, 'getKeyInfo', async (connection, server) => {
      const info = await connection.send('getKeyInfo', { handle: given.number('key-handle') });
      const { token, owner, sharedWith } = info;
      const shares = [
        `        also, shared to following ${sharedWith.length} user(s):`,
        '',
        ...sharedWith.map(({ id }) => `                 ${id}`),
      ];
      return [
        `Key Info on ${server.title}:`,
        '',
        `        ${token ? 'Token/Flash Key' : 'Session Key'},`,
        '',
        `        Owned by user ${owner.id}`,
        '',
        ...(sharedWith.length > 0 ? shares : []),
        ...quorumLines(info),
      ];
    }),
};

function requireAttribute(number: number): AttributeRow {
  const row = attributeRow(number);
  if (row === undefined) throw refused(`there is no attribute ${number}: \`listAttributes\` lists them`);
  return row;
}

const getAttribute: CommandRow = {
  name: 'getAttribute',
  purpose: 'prints an attribute of a key, or with 512 all of them',
  who: 'CU who own it or share it',
  arguments: [key, { name: 'attribute', kind: 'number' }, file],
  run: async (session, given) => {
    const number = given.number('attribute');
    const row = number === ALL_ATTRIBUTES ? undefined : requireAttribute(number);
    await withFile(session, given, 'getAttribute', async (connection, server) => {
      const attributes = await KeyAttributes.read(connection, given.number('key-handle'));
      const values = row === undefined ? attributes.dump() : [attributes.single(row)];
      if (values[0] === undefined) throw refused(`the key has no attribute ${number}`);
      return ['', `Attribute Value on ${server.title}:`, ...values.flatMap((value) => value ?? []), ''];
    });
  },
};

/** "attrs 3,134,260,…" (reference management-tools, section 4.2). */
const settable: readonly number[] = [
  3, 134, 260, 261, 262, 263, 264, 266, 268, 370, 528, 1073742353, 1073742354,
];

/** `260=1,354=0`: the entries of a template [ours]. */
function templateOf(text: string): Template {
  return text.split(',').map((entry) => {
    const [, number = '', value = ''] = /^(\d{1,10})=([01])$/.exec(entry) ?? [];
    const row = number === '' ? undefined : attributeRow(Number(number));
    if (row?.form !== 'flag' || row.type === undefined)
      throw refused('a template is a list of attributes and their values, such as 260=1,354=0');
    return { type: row.type, value: boolBytes(value === '1') };
  });
}

function attributeOf(row: AttributeRow, value: string): Attribute {
  const type = row.type!;
  if (row.form === 'template') return { type, value: Buffer.alloc(0), nested: templateOf(value) };
  if (row.form === 'text') return { type, value: Buffer.from(value) };
  if (value !== '0' && value !== '1') throw refused(`OBJ_ATTR_${row.name} is 0 or 1`);
  return { type, value: boolBytes(value === '1') };
}

/** The guide's syntax line has no value, its sample has one: without it the tool asks, as key_mgmt_util's setAttribute does [guess]. */
async function askedValue({ terminal }: Session, row: AttributeRow): Promise<string | undefined> {
  if (row.form !== 'flag') return terminal.ask('Enter the attribute value:');
  terminal.print(BOOLEAN_ATTRIBUTE);
  return (await terminal.ask(BOOLEAN_QUESTION))?.trim();
}

const setAttribute: CommandRow = {
  name: 'setAttribute',
  purpose: 'changes an attribute of a key',
  who: 'CU who own it; CO OBJ_ATTR_TRUSTED (134)',
  arguments: [key, { name: 'attribute', kind: 'number' }, { name: 'value', kind: 'text', optional: true }],
  critical: true,
  run: async (session, given) => {
    const row = requireAttribute(given.number('attribute'));
    if (!settable.includes(row.number))
      throw refused(`OBJ_ATTR_${row.name} cannot be set: these can, ${settable.join(', ')}`);
    const value = given.find('value') ?? (await askedValue(session, row));
    if (value === undefined) return;
    const attribute = attributeOf(row, value);
    await session.each('setAttribute', async (connection, server) => {
      await connection.send('setKeyAttribute', { handle: given.number('key-handle'), attribute });
      session.print(`setAttribute success${session.on(server)}`);
    });
  },
};

const listAttributes: CommandRow = {
  name: 'listAttributes',
  purpose: 'lists the attributes of keys with their numbers',
  who: 'everybody, also without a login',
  arguments: [],
  leadingFlag: '-h',
  run: async (session) =>
    session.print('', 'Following are the possible attribute values for getAttribute:', '', ...attributeLines),
};

const shareKey: CommandRow = {
  name: 'shareKey',
  purpose: 'lets another crypto user use a key (1), or no longer (0)',
  who: 'CU who own it',
  arguments: [key, { name: 'user-id', kind: 'number' }, { name: 'share-type', kind: 'flag' }],
  critical: true,
  run: async (session, given) => {
    const handle = given.number('key-handle');
    const id = given.number('user-id');
    const command = given.number('share-type') === 1 ? 'shareKey' : 'unshareKey';
    await session.each('shareKey', async (connection, server) => {
      await connection.send(command, { handle, user: await nameOfUser(connection, id) });
      session.print(`shareKey success${session.on(server)}`);
    });
  },
};

export const keyCommands: readonly CommandRow[] = [
  findAllKeys,
  getKeyInfo,
  getAttribute,
  setAttribute,
  listAttributes,
  shareKey,
];
