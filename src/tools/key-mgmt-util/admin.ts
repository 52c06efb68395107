import { refused } from '../failure.js';
import { shorterAttributeLines } from '../sdk3/attributes.js';
import { certificateHelp, certificateNumbers, certificateOf } from '../sdk3/certificates.js';
import { writeGivenFile } from '../sdk3/files.js';
import { hsmErrors } from '../sdk3/hsm-errors.js';
import type { KeyCommandRow } from './command.js';
import { outFile } from './flags.js';

const ADMIN = 'Configuration and Admin Commands';
const HELPER = 'Helper Commands';

const loginHSM: KeyCommandRow = {
  name: 'loginHSM',
  group: ADMIN,
  purpose: 'logs in to the HSMs of the cluster as a crypto user',
  flags: {
    '-u': { kind: 'text', required: true, help: 'user type: CU' },
    '-s': { kind: 'text', required: true, help: 'user name' },
    '-p': { kind: 'text', help: 'password' },
    '-hpswd': { help: 'asks for the password, and does not show it' },
  },
  run: async (session, given) => {
    if (given.text('-u') !== 'CU') {
      session.failed = true;
      session.printReturn('Cfm3LoginHSM', 'INVALID_USER_TYPE');
      return;
    }
    if (given.has('-p') === given.has('-hpswd')) throw refused('Error: one of -p and -hpswd is wanted');
    const name = given.text('-s');
    const password = given.find('-p') ?? (await session.terminal.ask('Enter password:', { hidden: true }));
    if (password === undefined) return;
    if (Buffer.byteLength(name) > 128) throw refused('Error: -s: that is no user name');
    await session.group.connect();
    const done = await session.onEach('Cfm3LoginHSM', (connection) =>
      connection.send('login', { name, password, role: 'CU' }),
    );
    if (done) session.setUser(name);
  },
};

const logoutHSM: KeyCommandRow = {
  name: 'logoutHSM',
  group: ADMIN,
  purpose: 'logs out from the HSMs; session keys end',
  flags: {},
  run: async (session) => {
    session.setUser(undefined);
    await session.onEach('Cfm3LogoutHSM', (connection) => connection.send('logout', undefined));
  },
};

const loginStatus: KeyCommandRow = {
  name: 'loginStatus',
  group: ADMIN,
  purpose: 'tells who is logged in',
  flags: {},
  run: async (session) =>
    session.print(session.user === undefined ? 'Not Logged in' : `Logged in as '${session.user}(CU)'`),
};

const yesNo = (value: boolean): string => (value ? 'YES' : 'NO');

const listUsers: KeyCommandRow = {
  name: 'listUsers',
  group: ADMIN,
  purpose: 'lists all users of an HSM',
  flags: {},
  run: async (session) => {
    const connection = session.group.connected[0]?.connection;
    const users = connection && (await connection.send('listUsers', undefined));
    if (users === undefined) {
      session.failed = true;
      session.printReturn('Cfm3ListUsers', 'UNAVAILABLE');
      return;
    }
    session.print('', `        Number Of Users found ${users.length}`, '');
    // Columns as in the sample (reference management-tools, section 5.5).
    session.print(
      '        Index       User ID     User Type       User Name           MofnPubKey    LoginFailureCnt         2FA',
      ...users.map(({ id, role, name, quorumKey, wrongPasswords, secondFactor }, at) =>
        [
          `        ${String(at + 1).padEnd(8)}${String(id).padStart(10)}      ${role.padEnd(16)}${name.padEnd(26)}`,
          `${yesNo(quorumKey).padEnd(3)}${String(wrongPasswords).padStart(15)}${yesNo(secondFactor).padStart(17)}`,
        ].join(''),
      ),
    );
    session.printReturn('Cfm3ListUsers');
  },
};

const listAttributes: KeyCommandRow = {
  name: 'listAttributes',
  group: HELPER,
  purpose: 'lists the attributes of keys with their numbers',
  flags: {},
  run: async (session) =>
    session.print(
      'Description',
      '===========',
      'The following are all of the possible attribute values for getAttributes.',
      '',
      ...shorterAttributeLines,
    ),
};

const error2String: KeyCommandRow = {
  name: 'Error2String',
  group: HELPER,
  purpose: 'tells what an error code means',
  flags: { '-r': { kind: 'hex', required: true, help: 'error code, with 0x in front' } },
  run: async (session, given) => {
    const text = given.text('-r');
    if (!text.startsWith('0x')) throw refused('Error: -r: the code begins with 0x');
    const code = Number.parseInt(text, 16);
    const known = Object.values(hsmErrors).find(({ number }) => number === code);
    session.print(
      '',
      `        Error Code ${code.toString(16)} maps to ${known?.text ?? 'Unknown error code'}`,
      '',
    );
  },
};

const infoLines = (lines: readonly (readonly [string, string])[]): string[] =>
  lines.map(([name, value]) => `        ${name.padEnd(21)}:${value}`);

/** Not documented: what our HSMs know, in the form of cloudhsm_mgmt_util's (section 4.3). */
const getHSMInfo: KeyCommandRow = {
  name: 'getHSMInfo',
  group: ADMIN,
  purpose: 'tells of the HSMs',
  flags: {},
  run: async (session) => {
    for (const { index, connected, server, connection } of session.group.connected) {
      if (!connected) continue;
      const { serialNumber, hsmType, mode } = await connection.send('getHsmInfo', undefined);
      session.print(
        '',
        ...infoLines([
          ['Node id', String(index)],
          ['HSM', server.name],
          ['Serial Number', serialNumber],
          ['HSM type', hsmType],
          ['Mode', mode],
        ]),
      );
    }
    session.printReturn('Cfm3GetHSMInfo');
  },
};

const getPartitionInfo: KeyCommandRow = {
  name: 'getPartitionInfo',
  group: ADMIN,
  purpose: 'tells of the partition that is used on each HSM',
  flags: {},
  run: async (session) => {
    for (const { index, server, connection } of session.group.connected) {
      const users = await connection.send('listUsers', undefined);
      session.print(
        '',
        ...infoLines([
          ['Node id', String(index)],
          ['Partition', server.name],
          ['Users', String(users.length)],
        ]),
      );
    }
    session.printReturn('Cfm3GetPartitionInfo');
  },
};

const getCert: KeyCommandRow = {
  name: 'getCert',
  group: 'Certificate Setup Commands',
  purpose: 'writes a certificate to a file',
  flags: {
    '-f': outFile,
    '-s': { kind: 'number', required: true, choices: certificateNumbers, help: certificateHelp },
  },
  run: async (session, given) => {
    const [member] = session.group.connected;
    if (member === undefined) throw refused('Error: no HSM can be reached');
    const { connection } = member;
    const sources = { connection, trustAnchorFile: session.trustAnchor };
    writeGivenFile(given.text('-f'), await certificateOf(given.number('-s'), sources));
    session.print('', '        Cfm3GetCert() returned 0 :HSM Return: SUCCESS', '');
  },
};

export const adminCommands: readonly KeyCommandRow[] = [
  loginHSM,
  logoutHSM,
  loginStatus,
  listUsers,
  getHSMInfo,
  getPartitionInfo,
  getCert,
  listAttributes,
  error2String,
];
