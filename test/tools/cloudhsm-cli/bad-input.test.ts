import { expect } from 'chai';
import { cliCommands, commonOptions } from '../../../src/tools/cloudhsm-cli/commands/index.js';
import type { Option } from '../../../src/tools/command-row.js';
import { type CliOptions, type CliRun, dataOf, runCli } from '../../support/cli.js';
import { PASSWORD } from '../../support/in-process.js';
import { NetworkCluster } from '../../support/network.js';
import { TestPrefix } from '../../support/prefix.js';

/* What nobody should send, for every command that there is: made from the rows. */

const LOGINS = {
  CO: { pin: `admin:${PASSWORD}`, role: 'admin' },
  CU: { pin: `crypto_user:${PASSWORD}`, role: 'crypto-user' },
} as const satisfies Record<string, CliOptions>;

const rows = cliCommands.filter(({ path }) => path[0] !== 'interactive');
/** What a number may be. */
const numbers: Readonly<Record<string, string>> = {
  'modulus-size-bits': '2048',
  'public-exponent': '65537',
  'tag-length-bits': '96',
  'key-length-bytes': '16',
  value: '2',
  'certificate-reference': '0x01',
};
const valueFor = (name: string, { choices }: Option<unknown>, otherwise: string): string =>
  choices?.[0] ?? numbers[name] ?? otherwise;

describe('cloudhsm-cli: bad input', () => {
  let network: NetworkCluster;
  let prefix: TestPrefix;
  const folder = process.cwd();

  before(async () => {
    network = await NetworkCluster.start({ hsms: 2 });
    prefix = new TestPrefix(network.endpoints.slice(0, 1), network.client);
    // Files that have no folder land here.
    process.chdir(prefix.directory);
  });

  after(async () => {
    process.chdir(folder);
    prefix.remove();
    await network.close();
  });

  /** All that must be there, with one value for what is free. */
  const whole = (options: (typeof rows)[number]['options'], otherwise = '1'): string[] =>
    Object.entries(options)
      .filter(([, option]) => option.required)
      .flatMap(([name, option]) => [`--${name}=${valueFor(name, option, otherwise)}`]);

  const isRefused = ({ code, stdout, stderr }: CliRun, what: string): void => {
    expect(code, stderr).to.equal(2);
    expect(stdout).to.equal('');
    expect(stderr).to.contain(what);
  };

  for (const { path, options, roles } of rows) {
    describe(path.join(' '), () => {
      it('refuses options and words that it does not know', async () => {
        isRefused(await runCli(prefix, [...path, '--no-such-option']), 'no-such-option');
        isRefused(await runCli(prefix, [...path, 'no-such-word', ...whole(options)]), 'no-such-word');
      });

      it('refuses to go without what it needs, with what it cannot be, and twice', async () => {
        const all = whole(options);
        for (const [name, option] of Object.entries({ ...commonOptions, ...options })) {
          const others = all.filter((word) => !word.startsWith(`--${name}=`));
          if (option.required) isRefused(await runCli(prefix, [...path, ...others]), `--${name}`);
          if (option.choices !== undefined)
            isRefused(
              await runCli(prefix, [...path, ...others, `--${name}=none-of-them`]),
              option.choices[0]!,
            );
          if (option.value === undefined) continue;
          isRefused(await runCli(prefix, [...path, ...others, `--${name}`]), 'a value is required');
          const value = valueFor(name, option, '1');
          if (!option.many)
            isRefused(
              await runCli(prefix, [...path, ...others, `--${name}=${value}`, `--${name}=${value}`]),
              'multiple times',
            );
        }
      });

      if (roles.length > 0) {
        it('refuses nobody, and who may not', async () => {
          const nobody = await runCli(prefix, [...path, ...whole(options)]);
          expect(nobody.code).to.be.within(1, 2);
          for (const role of ['CO', 'CU'] as const) {
            if (roles.includes(role)) continue;
            const run = await runCli(prefix, [...path, ...whole(options)], LOGINS[role]);
            expect(run.code).to.equal(1);
            expect(dataOf(run)).to.match(/with the role|names no cluster/);
          }
        });
      }

      it('says that no HSM can be reached, before anything else', async () => {
        const away = new TestPrefix([{ host: '127.0.0.1', port: 1 }], network.client);
        const { code, stdout, stderr } = await runCli(away, [...path, ...whole(options)], LOGINS.CO);
        away.remove();
        expect(code).to.equal(1);
        expect(stdout).to.equal('');
        expect(stderr).to.match(/^Failed to initialize hsm1 context\n/);
      });

      const secrets = Object.entries(options).filter(([, option]) => option.secret);
      if (secrets.length > 0) {
        it('warns of a password on the command line, and never repeats it', async () => {
          for (const [name] of secrets) {
            const words = [...path, ...whole(options), `--${name}=a_password_to_hide`];
            const { stdout, stderr } = await runCli(prefix, words, {
              ...LOGINS.CO,
              input: ['typed-secret', 'typed-secret', 'no-file', 'no-file'],
            });
            expect(stderr).to.contain(`warning: --${name} is visible to other users`);
            expect(stdout + stderr).not.to.contain('a_password_to_hide');
          }
        });
      }

      it('survives hostile values, and prints nothing that a terminal would obey', async () => {
        const hostile = [
          '\u001b]0;owned\u0007',
          '../../../dev/null/x',
          '/dev/zero',
          'x'.repeat(100_000),
          '%s%n$(id)`id`',
          'attr.__proto__=1',
        ];
        for (const value of hostile) {
          const words = [...path];
          for (const [name, option] of Object.entries(options))
            if (
              option.required ||
              (option.value !== undefined && option.choices === undefined && !option.secret)
            )
              words.push(`--${name}=${valueFor(name, option, value)}`);
          const login = LOGINS[roles[0] === 'CO' ? 'CO' : 'CU'];
          const { code, stdout, stderr } = await runCli(prefix, words, {
            ...login,
            input: ['typed-secret', 'typed-secret', value, value],
          });
          expect(code, `${words.join(' ').slice(0, 200)} ${stderr}`).to.be.within(0, 2);
          // biome-ignore lint/suspicious/noControlCharactersInRegex: it is about them
          expect(stdout + stderr).not.to.match(/[\u0000-\u0008\u000b-\u001f]/);
          expect(stdout + stderr).not.to.match(/\n\s+at \S+ \(/);
          expect(stdout + stderr).not.to.contain(PASSWORD);
        }
      });
    });
  }
});
