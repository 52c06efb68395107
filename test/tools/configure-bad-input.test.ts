import { existsSync } from 'node:fs';
import { expect } from 'chai';
import type { Option } from '../../src/tools/command-row.js';
import { configureSdk5 } from '../../src/tools/configure/main.js';
import { components, configureCommands } from '../../src/tools/configure/sdk5.js';
import { TestPrefix } from '../support/prefix.js';

/* What nobody should write behind configure-*, for every command that there is: made from the rows. */

describe('bad input to the configure programs', () => {
  let prefix: TestPrefix;
  let before: string | undefined;

  beforeEach(() => {
    prefix = new TestPrefix([], { certificate: '', privateKey: '', trustAnchor: '' });
    before = process.env['CLOUDHSM_LOCAL_PREFIX'];
    process.env['CLOUDHSM_LOCAL_PREFIX'] = prefix.directory;
  });

  afterEach(() => {
    if (before === undefined) delete process.env['CLOUDHSM_LOCAL_PREFIX'];
    else process.env['CLOUDHSM_LOCAL_PREFIX'] = before;
    prefix.remove();
  });

  const env = { AWS_SHARED_CREDENTIALS_FILE: '/none', AWS_CONFIG_FILE: '/none' };
  const written = (name: string): string => (name.length === 1 ? `-${name}` : `--${name}`);

  for (const component of components) {
    const said = async (words: readonly string[]): Promise<[number, string]> => {
      let text = '';
      const say = (line: string): void => {
        text += `${line}\n`;
      };
      return [await configureSdk5(component, words, env, say, say), text];
    };
    it(`configure-${component} refuses to be told where to look for no cluster`, async () => {
      for (const word of ['--region=us-west-2', '--endpoint=http://127.0.0.1:1'])
        expect((await said([word, '-a=10.0.0.1']))[1], word).to.contain('--cluster-id');
    });

    for (const { path, options } of configureCommands(component)) {
      const title = [`configure-${component}`, ...path].join(' ');
      const all = Object.entries(options) as [string, Option<unknown>][];
      const whole = all.filter(([, { required }]) => required).map(([name]) => `${written(name)}=x`);

      it(`${title} refuses what it does not know, what is not whole, and what is there twice`, async () => {
        const lines = [
          [...path, '--no-such-option', ...whole],
          [...path, 'no-such-word', ...whole],
        ];
        for (const [name, { required, value, many, choices }] of all) {
          const others = whole.filter((word) => !word.startsWith(`${written(name)}=`));
          if (required) lines.push([...path, ...others]);
          if (choices) lines.push([...path, ...others, `${written(name)}=none-of-them`]);
          if (value === undefined) continue;
          lines.push([...path, ...others, written(name)]);
          const word = `${written(name)}=${choices?.[0] ?? 'x'}`;
          if (!many) lines.push([...path, ...others, word, word]);
        }
        for (const words of lines) expect((await said(words))[0], words.join(' ')).to.equal(2);
        if (component !== 'cli')
          expect(existsSync(prefix.path(`etc/cloudhsm-${component}.cfg`))).to.equal(false);
      });

      it(`${title} survives hostile values`, async () => {
        for (const value of [
          '\u001b]0;owned\u0007',
          '/dev/zero',
          'x'.repeat(100_000),
          '$(id)`id`',
          '__proto__',
        ])
          for (const [name, option] of all) {
            if (option.value === undefined || option.choices !== undefined) continue;
            const others = whole.filter((word) => !word.startsWith(`${written(name)}=`));
            const [code, text] = await said([...path, ...others, `${written(name)}=${value}`]);
            expect(code, text.slice(0, 200)).to.be.within(0, 2);
            // biome-ignore lint/suspicious/noControlCharactersInRegex: it is about them
            expect(text).not.to.match(/[\u0000-\u0008\u000b-\u001f]/);
            expect(text.length).to.be.below(20_000);
          }
      });
    }
  }
});
