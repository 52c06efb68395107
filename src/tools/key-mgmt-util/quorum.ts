import { limits } from '../../base/limits.js';
import { keyServiceNames, serviceNumber } from '../../hsm/quorum/services.js';
import { TOKEN_BYTES } from '../../hsm/quorum/token.js';
import { canonicalName } from '../../hsm/user-rules.js';
import { refused } from '../failure.js';
import { readApprovalFile } from '../sdk3/approval-file.js';
import { readGivenFile, writeGivenFile } from '../sdk3/files.js';
import { listedTokens, tokenLines } from '../sdk3/tokens.js';
import type { KeyCommandRow } from './command.js';

/*
 * Approvals for the use of keys. CloudHSM's documents have the names of these commands and nothing more: flags and answers are ours
 * [guess], in the style of the other commands.
 */

const GROUP = 'M of N Commands';
const TOKENS_BYTES = TOKEN_BYTES * limits.hsmsPerCluster;

const getToken: KeyCommandRow = {
  name: 'getToken',
  group: GROUP,
  purpose: 'gets a token for one use of a key, for its users to approve',
  login: true,
  flags: {
    '-n': {
      kind: 'number',
      required: true,
      choices: keyServiceNames.map(serviceNumber),
      help: `service: ${keyServiceNames.map((name) => `${serviceNumber(name)} ${name}`).join(', ')}`,
    },
    '-k': { kind: 'number', required: true, help: 'handle of the key' },
    '-out': { kind: 'file', required: true, help: 'file for the token' },
  },
  run: async (session, given) => {
    const service = keyServiceNames.find((name) => serviceNumber(name) === given.number('-n'))!;
    const key = given.number('-k');
    const user = canonicalName(session.user!)!;
    const ids = new Map<string, number>();
    const records: Buffer[] = [];
    const lines: string[][] = [];
    const done = await session.onEach(
      'Cfm3GetToken',
      async (connection, { index }) => {
        const { id, record } = await connection.send('getToken', { service, handle: key });
        ids.set(connection.hsmId, id);
        records[index] = Buffer.from(record);
        lines[index] = [...tokenLines({ id, service, user, key }, index), ''];
      },
      () => lines.flat(),
    );
    if (!done) return;
    const approvalData = Buffer.concat(records.filter((record) => record !== undefined));
    session.noteTokens({ approvalData, ids });
    writeGivenFile(given.text('-out'), approvalData);
  },
};

const approveToken: KeyCommandRow = {
  name: 'approveToken',
  group: GROUP,
  purpose: 'brings approvals of a token',
  login: true,
  flags: { '-f': { kind: 'file', required: true, help: 'file that names the token and its approvals' } },
  run: async (session, given) => {
    const signed = readApprovalFile(given.text('-f'));
    await session.onEach('Cfm3ApproveToken', (connection) => connection.send('approveToken', signed));
  },
};

const listTokens: KeyCommandRow = {
  name: 'listTokens',
  group: GROUP,
  purpose: 'lists tokens, with who has approved them',
  login: true,
  flags: {},
  run: async (session) => {
    const lines: string[][] = [];
    await session.onEach(
      'Cfm3ListTokens',
      async (connection, { index }) => {
        lines[index] = listedTokens(await connection.send('listTokens', undefined), index);
      },
      () => (lines.flat().length === 0 ? ['no tokens found', ''] : [...lines.flat(), '']),
    );
  },
};

const delToken: KeyCommandRow = {
  name: 'delToken',
  group: GROUP,
  purpose: 'deletes the tokens of a file, or all of the user',
  login: true,
  flags: { '-f': { kind: 'file', help: 'file with the tokens: otherwise all of the user' } },
  run: async (session, given) => {
    const file = given.find('-f');
    const approvalData = file === undefined ? undefined : readGivenFile(file, TOKENS_BYTES);
    if (approvalData !== undefined && approvalData.length % TOKEN_BYTES !== 0)
      throw refused('Error: -f: there are no tokens in the file');
    const scope = approvalData === undefined ? 'user' : 'these';
    await session.onEach('Cfm3DeleteToken', (connection) =>
      connection.send('deleteTokens', { scope, approvalData }),
    );
  },
};

export const quorumCommands: readonly KeyCommandRow[] = [getToken, approveToken, listTokens, delToken];
