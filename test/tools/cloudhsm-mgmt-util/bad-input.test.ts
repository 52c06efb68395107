import { expect } from 'chai';
import type { ArgumentRow, CommandRow } from '../../../src/tools/cloudhsm-mgmt-util/command.js';
import {
  managementCommands,
  mayRemember,
  runManagementTool,
} from '../../../src/tools/cloudhsm-mgmt-util/tool.js';
import { PASSWORD } from '../../support/in-process.js';
import { ManagedClusters } from '../../support/managed.js';
import { ScriptedTerminal } from '../../support/scripted-terminal.js';

/** Undefined at the prompt. */
function answer(question: string): string | undefined {
  if (/^(aws-cloudhsm|server\d+)>$/.test(question)) return undefined;
  if (question.startsWith('Retry')) return question.includes('Abort') ? 'A' : 'I';
  return question.startsWith('Do you want') ? 'y' : '';
}

const SECRET = 'a_password_to_hide';

/** A word that an argument takes. */
const good: { readonly [Kind in ArgumentRow['kind']]: string } = {
  userType: 'CO',
  userName: 'alice',
  password: SECRET,
  number: '0',
  flag: '0',
  file: '/nonexistent/file',
  text: 'text',
};

/** Words that it does not take: hostile ones among them. */
const bad: { readonly [Kind in ArgumentRow['kind']]?: readonly string[] } = {
  userType: ['co', 'ROOT', '-1', '__proto__', 'constructor'],
  userName: ['a'.repeat(32), 'al-ice', '../../etc/passwd', '\u001b[2J', 'a\0b', 'Ünal', "';--"],
  password: ['x'.repeat(1025)],
  number: ['-1', '1e9', '0x10', '99999999999999999999', '1.5', 'one', '\u001b[2J'],
  flag: ['2', 'yes', '-1'],
  file: ['x'.repeat(4097), '/tmp/a\0b', '\u001b]0;owned\u0007'],
};

const wordOf = ({ literal, name, kind }: ArgumentRow): string => (literal ? name : good[kind]);
const lineOf = (row: CommandRow, words: readonly string[]): string => [row.name, ...words].join(' ');

describe('bad input to cloudhsm_mgmt_util', () => {
  let clusters: ManagedClusters;

  before(async () => {
    clusters = await ManagedClusters.start({ hsms: 1 });
  });

  after(() => clusters.close());

  async function type(...lines: readonly string[]): Promise<string> {
    const terminal = new ScriptedTerminal(lines, answer);
    await runManagementTool(terminal, clusters.servers);
    return terminal.printed.join('\n');
  }

  const rows = managementCommands.filter(({ name }) => !['quit', 'exit', 'help'].includes(name));

  it('is told from good: missing, too many and impossible arguments of every command', async () => {
    for (const row of rows) {
      const words = row.arguments.map(wordOf);
      const needed = row.arguments.filter(({ optional }) => !optional).length;
      const lines = [[...words, 'more', 'and', 'more']];
      for (let given = 0; given < needed; given++) lines.push(words.slice(0, given));
      for (const [at, { kind, literal }] of row.arguments.entries())
        for (const word of literal ? ['wrong'] : (bad[kind] ?? [])) lines.push(words.with(at, word));
      for (const line of lines) {
        const printed = await type(lineOf(row, line));
        expect(printed, lineOf(row, line)).to.contain(`Syntax: ${row.name}`);
        expect(printed).to.not.contain('Do you want to continue');
        expect(printed).to.not.contain(SECRET);
      }
    }
  });

  it('that no HSM can do is refused, and quotes no password', async () => {
    for (const row of rows) {
      const line = lineOf(row, row.arguments.map(wordOf));
      for (const login of [
        [],
        [`loginHSM CU crypto_user "${PASSWORD}"`],
        [`loginHSM CO admin "${PASSWORD}"`],
      ]) {
        const printed = await type(...login, 'server 0', line);
        expect(printed, line).to.contain('disconnecting');
        expect(printed).to.not.contain(SECRET);
        expect(printed).to.not.contain(PASSWORD);
      }
    }
  });

  it('for HSMs that are not there says so', async () => {
    const away = await ManagedClusters.start({ hsms: 1 });
    await away.network.cutOff('hsm-1');
    for (const row of rows) {
      if (['info', 'listAttributes', 'server', 'getHSMInfo'].includes(row.name)) continue;
      const terminal = new ScriptedTerminal([lineOf(row, row.arguments.map(wordOf))], answer);
      await runManagementTool(terminal, away.servers);
      expect(terminal.printed.join('\n'), row.name).to.match(
        /is not connected|is for one server|Failed to connect|cannot be|there is no file|service is one of/,
      );
    }
    await away.close();
  });

  it('is in no history where it may hold a password', () => {
    for (const row of managementCommands) {
      const holds = row.arguments.some(({ kind }) => kind === 'password');
      expect(mayRemember(lineOf(row, row.arguments.map(wordOf))), row.name).to.equal(!holds);
    }
    for (const line of ['l CO admin x', 'unknown secret', '']) expect(mayRemember(line)).to.equal(false);
  });
});
