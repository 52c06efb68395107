import { Failure } from '../../base/errors.js';
import type { ClusterAccess } from '../connection/cluster-access.js';
import { HsmGroup } from '../connection/hsm-group.js';
import { warnOfHsmType } from '../sdk3/hsm-type.js';
import type { Terminal } from '../terminal.js';
import { adminCommands } from './admin.js';
import { bind, helpOf, type KeyCommandRow } from './command.js';
import { findCommands } from './find.js';
import { generateCommands } from './generate.js';
import { maskedCommands } from './masked.js';
import { publicTransferCommands } from './public-transfer.js';
import { quorumCommands } from './quorum.js';
import { KeySession } from './session.js';
import { signCommands } from './sign.js';
import { transferCommands } from './transfer.js';
import { wrapCommands } from './wrap.js';

const exit: KeyCommandRow = {
  name: 'exit',
  group: 'Helper Commands',
  purpose: 'leaves the tool',
  flags: {},
  run: async (session) => {
    session.ended = true;
  },
};

const help: KeyCommandRow = {
  name: 'help',
  group: 'Helper Commands',
  purpose: 'lists the commands',
  flags: {},
  run: async (session) => {
    session.print('', 'Help Commands Available:', '', 'Syntax: <command> -h', '');
    for (const group of new Set(keyCommands.map((row) => row.group))) {
      const rows = keyCommands.filter((row) => row.group === group);
      session.print(
        '',
        `   ${group}:`,
        ...rows.map(({ name, purpose }) => `        ${name.padEnd(24)}${purpose}`),
      );
    }
  },
};

/** THE row per command of key_mgmt_util. */
export const keyCommands: readonly KeyCommandRow[] = [
  ...adminCommands,
  ...quorumCommands,
  ...generateCommands,
  ...publicTransferCommands,
  ...transferCommands,
  ...maskedCommands,
  ...wrapCommands,
  ...findCommands,
  ...signCommands,
  help,
  exit,
];

/** Words between spaces; one that has spaces in it stands between double quotes [ours]. */
export const wordsOf = (line: string): string[] =>
  [...line.trim().matchAll(/"([^"]*)"(?=\s|$)|\S+/g)].map(([word, quoted]) => quoted ?? word);

/** Names are as they are written here, or otherwise in upper and lower case [ours]. */
export function findKeyCommand(word: string): KeyCommandRow | undefined {
  const wanted = word.toLowerCase();
  return keyCommands.find(({ name }) => name.toLowerCase() === wanted);
}

/** What a tab offers. */
export function completions(line: string): [string[], string] {
  return [keyCommands.map(({ name }) => name).filter((name) => name.startsWith(line)), line];
}

/** Whether a line may be remembered: not where a password is in it. */
export const mayRemember = (line: string): boolean => !wordsOf(line).includes('-p');

export async function runCommand(session: KeySession, words: readonly string[]): Promise<void> {
  const [word, ...rest] = words;
  if (word === undefined) return;
  const row = findKeyCommand(word);
  if (row === undefined) {
    session.failed = true;
    session.print('', 'Command not found: `help` lists the commands', '');
    return;
  }
  if (rest.includes('-h')) {
    session.print('', ...helpOf(row), '');
    return;
  }
  const given = bind(row, rest);
  if (typeof given === 'string') {
    session.failed = true;
    session.print('', given, '', ...helpOf(row).slice(4, 7), '');
    return;
  }
  if (row.login && session.user === undefined) {
    session.failed = true;
    session.print('', 'Error: nobody is logged in: loginHSM first', '');
    return;
  }
  try {
    await row.run(session, given);
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    session.failed = true;
    session.print('', error.message, '');
  }
}

/** Splits `loginHSM … genSymKey …`: the first command's words end where the next one's name is. */
function splitCommands(words: readonly string[]): string[][] {
  const [, ...rest] = words;
  const next = rest.findIndex((word, at) => findKeyCommand(word) !== undefined && !isValue(words, at + 1));
  return next < 0 ? [[...words]] : [words.slice(0, next + 1), words.slice(next + 1)];
}

/** A user may be called as a command is. */
const isValue = (words: readonly string[], at: number): boolean =>
  ['-s', '-p', '-u'].includes(words[at - 1]!);

export interface KeyToolOptions {
  readonly terminal: Terminal;
  readonly access: ClusterAccess & { readonly minimumNodes: number };
  /** `singlecmd`: these words, and no prompt. */
  readonly words?: readonly string[];
}

/** Runs key_mgmt_util; its exit status. */
export async function runKeyTool({ terminal, access, words }: KeyToolOptions): Promise<number> {
  let group: HsmGroup;
  try {
    ({ group } = await HsmGroup.ofCluster(access, { sessionWrappingKeys: true }));
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    // The daemon of the original is part of the tool here.
    terminal.print('Daemon socket connection error');
    terminal.complain(`key_mgmt_util: ${error.message}`);
    terminal.close();
    return 1;
  }
  const session = new KeySession(terminal, group, access.minimumNodes, access.identity.trustAnchor);
  try {
    await warnOfHsmType(terminal, group.connected[0]?.connection);
    if (words !== undefined) {
      for (const command of splitCommands(words)) if (!session.failed) await runCommand(session, command);
      return session.failed ? 1 : 0;
    }
    while (!session.ended) {
      const line = await terminal.ask('Command: ', { history: true });
      if (line === undefined) break;
      await runCommand(session, wordsOf(line));
    }
    return 0;
  } finally {
    session.close();
    terminal.close();
  }
}
