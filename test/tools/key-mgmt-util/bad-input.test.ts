import { expect } from 'chai';
import { readDaemonConfig } from '../../../src/tools/connection/cluster-access.js';
import type { FlagRow, KeyCommandRow } from '../../../src/tools/key-mgmt-util/command.js';
import { keyCommands, mayRemember, runKeyTool } from '../../../src/tools/key-mgmt-util/tool.js';
import { PASSWORD } from '../../support/in-process.js';
import { NetworkCluster } from '../../support/network.js';
import { TestPrefix } from '../../support/prefix.js';
import { ScriptedTerminal } from '../../support/scripted-terminal.js';

const SECRET = 'a_password_to_hide';

const answer = (question: string): string | undefined => (question === 'Command: ' ? undefined : SECRET);

type Kind = NonNullable<FlagRow['kind']>;

/** A value that a flag takes, where it does not say which ones there are. */
const good: { readonly [K in Kind]: string } = {
  number: '7',
  numbers: '4',
  hex: '0xdb',
  text: 'CU',
  file: '/nonexistent/file',
};

/** Values that it does not take: hostile ones among them. */
const bad: { readonly [K in Kind]: readonly string[] } = {
  number: ['-1', '1e9', '0x10', '99999999999999999999', 'one', '\u001b[2J'],
  numbers: ['4,', ',4', '0', 'all', '4;5'],
  hex: ['xyz', '0x', '-1'],
  text: ['x'.repeat(1025)],
  file: ['x'.repeat(4097), '/tmp/a\0b', '\u001b]0;owned\u0007'],
};

function flagWords(flag: string, { kind, choices }: FlagRow): string[] {
  if (kind === undefined) return [flag];
  if (flag === '-p') return [flag, SECRET];
  return [flag, choices === undefined ? good[kind] : String(choices[0])];
}

const required = ({ flags }: KeyCommandRow): [string, FlagRow][] =>
  Object.entries(flags).filter(([, row]) => row.required);

describe('bad input to key_mgmt_util', () => {
  let network: NetworkCluster;
  let prefix: TestPrefix;

  before(async () => {
    network = await NetworkCluster.start({ hsms: 1 });
    prefix = new TestPrefix(network.endpoints, network.client);
  });

  after(async () => {
    await network.close();
    prefix.remove();
  });

  async function type(...lines: readonly string[]): Promise<string> {
    const terminal = new ScriptedTerminal(lines, answer);
    await runKeyTool({ terminal, access: readDaemonConfig(prefix.path('etc/cloudhsm_client.cfg')) });
    return terminal.printed.join('\n');
  }

  const login = `loginHSM -u CU -s crypto_user -p "${PASSWORD}"`;

  it('is told from good: unknown flags, missing ones, ones without a value, and impossible values', async () => {
    for (const row of keyCommands) {
      const whole = required(row).flatMap(([flag, one]) => flagWords(flag, one));
      const lines = [
        [...whole, '-nonsense'],
        [...whole, 'word'],
        [...whole, '__proto__'],
      ];
      for (const [flag, one] of Object.entries(row.flags)) {
        const others = required(row)
          .filter(([other]) => other !== flag)
          .flatMap(([other, its]) => flagWords(other, its));
        if (one.required) lines.push(others);
        const mine = flagWords(flag, one);
        lines.push([...others, ...mine, ...mine]);
        if (one.kind === undefined) continue;
        lines.push([...others, flag]);
        for (const value of bad[one.kind]) lines.push([...others, flag, value]);
        if (one.choices !== undefined) lines.push([...others, flag, '4711']);
      }
      const printed = (await type(login, ...lines.map((words) => [row.name, ...words].join(' ')))).split(
        '\n',
      );
      expect(
        printed.filter((line) => line === `Syntax`),
        row.name,
      ).to.have.length(lines.length);
      expect(printed.join('\n')).to.not.contain(SECRET);
    }
  });

  it('that no HSM can do is refused', async () => {
    for (const row of keyCommands) {
      const line = [row.name, ...required(row).flatMap(([flag, one]) => flagWords(flag, one))].join(' ');
      for (const before of [[], [login]]) {
        const printed = await type(...before, line);
        expect(printed, line).to.not.contain(SECRET);
        if (row.login && before.length === 0) expect(printed, line).to.contain('nobody is logged in');
      }
    }
  });

  it('from and into hostile places does no harm', async () => {
    const places = ['/dev/zero', '/dev/full/x', '/proc/no/such', '/proc/self/mem', '/', '../../no/x'];
    for (const row of keyCommands) {
      const others = (flag: string): string[] =>
        required(row)
          .filter(([other]) => other !== flag)
          .flatMap(([other, its]) => flagWords(other, its));
      const lines = Object.entries(row.flags)
        .filter(([, { kind }]) => kind === 'file')
        .flatMap(([flag]) => places.map((place) => [row.name, ...others(flag), flag, place].join(' ')));
      if (lines.length === 0) continue;
      const printed = await type(login, ...lines);
      // biome-ignore lint/suspicious/noControlCharactersInRegex: it is about them
      expect(printed, row.name).to.not.match(/[\u0000-\u0008\u000b-\u001f]/);
      expect(printed, row.name).to.not.match(/\n\s+at \S+ \(/);
    }
  });

  it('to HSMs that are not there says so', async () => {
    const away = await NetworkCluster.start({ hsms: 1 });
    const its = new TestPrefix(away.endpoints, away.client);
    await away.cutOff('hsm-1');
    const terminal = new ScriptedTerminal([login], answer);
    const status = await runKeyTool({
      terminal,
      access: readDaemonConfig(its.path('etc/cloudhsm_client.cfg')),
    });
    expect(status).to.equal(1);
    expect(terminal.printed[0]).to.equal('Daemon socket connection error');
    await away.close();
    its.remove();
  });

  it('is in no history where a password is in it', () => {
    expect(mayRemember(login)).to.equal(false);
    expect(mayRemember('loginHSM -u CU -s crypto_user -hpswd')).to.equal(true);
  });

  it('has help for every command, made from its row', async () => {
    for (const row of keyCommands) {
      const printed = await type(`${row.name} -h`);
      for (const flag of Object.keys(row.flags)) expect(printed, row.name).to.contain(`        ${flag} `);
    }
  });
});
