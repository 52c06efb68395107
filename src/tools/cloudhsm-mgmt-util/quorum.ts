import { Failure } from '../../base/errors.js';
import { limits } from '../../base/limits.js';
import {
  type AdminService,
  adminServices,
  type KeyService,
  keyServiceNames,
  serviceNumber,
} from '../../hsm/quorum/services.js';
import { REGISTRATION_TOKEN_BYTES, SIGNATURE_BYTES } from '../../hsm/second-factor.js';
import { canonicalName } from '../../hsm/user-rules.js';
import { refused } from '../failure.js';
import { fromPem } from '../pem.js';
import { readApprovalFile } from '../sdk3/approval-file.js';
import { readGivenFile, writeGivenFile } from '../sdk3/files.js';
import { listedTokens, tokenLines } from '../sdk3/tokens.js';
import type { CommandRow, Given } from './command.js';

const service = { name: 'service', kind: 'number' } as const;

/** "MValue of service 3[USER_MGMT]": the services that there are in SDK 3 (reference management-tools, section 4.5). */
const serviceTitles = { user: 'USER_MGMT', quorum: 'MISC_CO' } as const satisfies Partial<
  Record<AdminService, string>
>;
type TitledService = keyof typeof serviceTitles;
const titled = Object.keys(serviceTitles) as TitledService[];

function serviceOf(given: Given): TitledService {
  const number = given.number(service.name);
  const found = titled.find((name) => adminServices[name] === number);
  if (found === undefined)
    throw refused(
      `a service is one of ${titled.map((name) => `${adminServices[name]} (${serviceTitles[name]})`).join(' and ')}`,
    );
  return found;
}

/** `shareKey`, "quorum applies": how a CU gets its token in this tool is not public, so this is ours. */
const keyHandle = { name: 'key-handle', kind: 'number' } as const;

function keyServiceOf(given: Given): KeyService {
  const number = given.number(service.name);
  const found = keyServiceNames.find((name) => serviceNumber(name) === number);
  if (found === undefined)
    throw refused(
      `a service on keys is one of ${keyServiceNames.map((name) => `${serviceNumber(name)} (${name})`).join(' and ')}`,
    );
  return found;
}

const registerQuorumPubKey: CommandRow = {
  name: 'registerQuorumPubKey',
  alias: 'registerMofnPubKey',
  purpose: 'registers the key with which a user approves; the user itself does it',
  who: 'CO; CU for keys [ours]',
  arguments: [
    { name: 'user-type', kind: 'userType' },
    { name: 'user-name', kind: 'userName' },
    { name: 'registration-token', kind: 'file' },
    { name: 'signed-registration-token', kind: 'file' },
    { name: 'public-key', kind: 'file' },
  ],
  critical: true,
  run: async (session, given) => {
    const name = given.text('user-name');
    const token = readGivenFile(given.text('registration-token'), REGISTRATION_TOKEN_BYTES);
    const signature = readGivenFile(given.text('signed-registration-token'), SIGNATURE_BYTES);
    const pem = readGivenFile(given.text('public-key'), limits.configurationBytes).toString('latin1');
    const publicKey = fromPem('PUBLIC KEY', pem);
    await session.each('registerQuorumPubKey', async (connection, server) => {
      if (canonicalName(server.login?.name ?? '') !== canonicalName(name))
        throw refused(`${name} registers the key itself: loginHSM as ${name} first`);
      await connection.send('registerPublicKey', { token, signature, publicKey });
      session.print(`registerQuorumPubKey success${session.on(server)}`);
    });
  },
};

const setMValue: CommandRow = {
  name: 'setMValue',
  purpose: 'sets how many COs must approve: 3 USER_MGMT, 4 MISC_CO',
  who: 'CO',
  arguments: [service, { name: 'm-value', kind: 'number' }],
  critical: true,
  run: async (session, given) => {
    const value = given.number('m-value');
    const name = serviceOf(given);
    if (value > limits.approvals) throw refused(`${value} is no m value`);
    session.print(
      `Setting M Value(${value}) for ${adminServices[name]} on ${session.reachable.length} nodes`,
    );
    await session.each('setMValue', async (connection) => {
      await connection.send('setQuorumValue', { service: name, value });
    });
  },
};

const getMValue: CommandRow = {
  name: 'getMValue',
  purpose: 'tells how many COs must approve',
  who: 'everybody',
  arguments: [service],
  run: async (session, given) => {
    const name = serviceOf(given);
    await session.each('getMValue', async (connection, server) => {
      const values = await connection.send('getQuorumValues', undefined);
      const title = `${adminServices[name]}[${serviceTitles[name]}]`;
      session.print(`MValue of service ${title} on server ${server.index} : [${values[name]}]`);
    });
  },
};

const getToken: CommandRow = {
  name: 'getToken',
  purpose: 'gets a token of each HSM, for others to approve',
  who: 'CO; CU for keys [ours]',
  arguments: [
    service,
    { name: 'user-name', kind: 'userName' },
    { name: 'token-file', kind: 'file' },
    { ...keyHandle, optional: true },
  ],
  run: async (session, given) => {
    const handle = given.find(keyHandle.name) === undefined ? undefined : given.number(keyHandle.name);
    const name = handle === undefined ? serviceOf(given) : keyServiceOf(given);
    const user = canonicalName(given.text('user-name'));
    const records: Buffer[] = [];
    await session.each('getToken', async (connection, server) => {
      if (canonicalName(server.login?.name ?? '') !== user)
        throw refused('a token is for whoever is logged in: it is asked for under that name');
      const { id, record } = await connection.send('getToken', { service: name, handle });
      records.push(record);
      session.print(
        `getToken success${session.on(server)}`,
        ...tokenLines({ id, service: name, user: user!, key: handle }, server.index),
        '',
      );
    });
    if (records.length > 0) writeGivenFile(given.text('token-file'), Buffer.concat(records));
  },
};

const approveToken: CommandRow = {
  name: 'approveToken',
  purpose: 'brings the approvals of a token',
  who: 'CO who got the token; CU for keys [ours]',
  arguments: [{ name: 'approval-file', kind: 'file' }],
  run: async (session, given) => {
    const signed = readApprovalFile(given.text('approval-file'));
    await session.each('approveToken', async (connection, server) => {
      await connection.send('approveToken', signed);
      session.print(`approveToken success${session.on(server)}`);
    });
  },
};

const RULE = '=====================';

const listTokens: CommandRow = {
  name: 'listTokens',
  purpose: 'lists the tokens of the HSMs, with who has approved them',
  who: 'CO; CU for keys [ours]',
  arguments: [],
  run: async (session) => {
    let failed = false;
    for (const server of session.targets) {
      const connection = session.connectionTo(server);
      if (connection === undefined) continue;
      try {
        const tokens = await connection.send('listTokens', undefined);
        session.print(RULE, `    Server ${server.index}(${server.configured.name})`, RULE);
        session.print(...listedTokens(tokens, server.index));
        session.print('', `Num of tokens = ${tokens.length}`, '');
      } catch (error) {
        if (!(error instanceof Failure)) throw error;
        failed = true;
        session.printFailure('listTokens', server, error);
      }
    }
    if (!failed) session.print('listTokens success');
  },
};

/** Its syntax is not public: this one is ours. */
const delToken: CommandRow = {
  name: 'delToken',
  purpose: "deletes one's own tokens, or with `all` everybody's",
  who: 'CO',
  arguments: [{ name: 'all', kind: 'text', literal: true, optional: true }],
  run: (session, given) =>
    session.each('delToken', async (connection, server) => {
      await connection.send('deleteTokens', { scope: given.find('all') === undefined ? 'user' : 'all' });
      session.print(`delToken success${session.on(server)}`);
    }),
};

export const quorumCommands: readonly CommandRow[] = [
  registerQuorumPubKey,
  setMValue,
  getMValue,
  getToken,
  approveToken,
  listTokens,
  delToken,
];
