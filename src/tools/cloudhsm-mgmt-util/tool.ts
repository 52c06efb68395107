import { Failure } from '../../base/errors.js';
import type { ManagedServer } from '../connection/cluster-access.js';
import { shortErrorText } from '../sdk3/hsm-errors.js';
import { warnOfHsmType } from '../sdk3/hsm-type.js';
import type { Terminal } from '../terminal.js';
import { bind, type CommandRow, findCommand, usageOf } from './command.js';
import { informationCommands } from './information.js';
import { keyCommands } from './keys.js';
import { modeCommands } from './modes.js';
import { confirmed } from './questions.js';
import { quorumCommands } from './quorum.js';
import { Server, Session } from './session.js';
import { synchronizeCommands } from './synchronize.js';
import { CONNECTING, DISCONNECTING, E2E_IGNORED } from './texts.js';
import { userCommands } from './users.js';

/** THE row per command of cloudhsm_mgmt_util. */
export const managementCommands: readonly CommandRow[] = [
  ...userCommands,
  ...keyCommands,
  ...synchronizeCommands,
  ...quorumCommands,
  ...informationCommands,
  ...modeCommands(() => managementCommands),
];

/** Words between spaces; one that has spaces in it stands between double quotes [ours]. */
const wordsOf = (line: string): string[] =>
  [...line.trim().matchAll(/"([^"]*)"(?=\s|$)|\S+/g)].map(([word, quoted]) => quoted ?? word);

/** Whether a line may be remembered: not where a password may be in it. */
export function mayRemember(line: string): boolean {
  const found = findCommand(managementCommands, wordsOf(line)[0] ?? '');
  const rows = 'name' in found ? [found] : found;
  return rows.length > 0 && rows.every((row) => row.arguments.every(({ kind }) => kind !== 'password'));
}

/** What a tab offers: the commands that begin so. */
export function completions(line: string): [string[], string] {
  const names = managementCommands.map(({ name }) => name);
  const hits = names.filter((name) => name.toLowerCase().startsWith(line.toLowerCase()));
  return [hits, line];
}

async function runLine(session: Session, line: string): Promise<void> {
  const [word = '', ...words] = wordsOf(line);
  if (word === '') return;
  const row = findCommand(managementCommands, word);
  if (!('name' in row)) {
    const names = row.map(({ name }) => name).join(', ');
    session.print(
      row.length === 0
        ? 'there is no such command: `help` lists them'
        : `the command may be one of several: ${names}`,
    );
    return;
  }
  const given = bind(row, words);
  if (typeof given === 'string') {
    session.print(given, `Syntax: ${usageOf(row)}`);
    return;
  }
  if (row.serverMode && session.mode === undefined) {
    session.print(`${row.name} is for one server: \`server <n>\` first`);
    return;
  }
  if (row.critical && !(await confirmed(session))) return;
  try {
    await row.run(session, given);
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    session.print(`${row.name} failed: ${shortErrorText(error)}`);
  }
}

/** Runs cloudhsm_mgmt_util on the servers of its configuration file until it is left. */
export async function runManagementTool(
  terminal: Terminal,
  configured: readonly ManagedServer[],
): Promise<void> {
  const servers = configured.map((server, index) => new Server(index, server));
  const session = new Session(terminal, servers);
  try {
    await converse(session);
  } finally {
    // Whatever happened: connections would keep the process.
    for (const server of servers) server.close();
    terminal.close();
  }
}

async function converse(session: Session): Promise<void> {
  const { terminal, servers } = session;
  session.print(E2E_IGNORED, CONNECTING);
  for (const [at, server] of servers.entries()) {
    if (at > 0) session.print('');
    await server.connect(session);
  }
  for (const server of servers)
    if (server.connection !== undefined) session.print(`E2E enabled on ${server.title}`);
  await warnOfHsmType(terminal, session.reachable[0]?.connection);
  while (!session.ended) {
    session.print('');
    const line = await terminal.ask(session.prompt, { history: true });
    if (line !== undefined) await runLine(session, line);
    else {
      session.print(DISCONNECTING);
      session.ended = true;
    }
  }
}
