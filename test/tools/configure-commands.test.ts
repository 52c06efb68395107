import { existsSync, readFileSync } from 'node:fs';
import { expect } from 'chai';
import { configureSdk5 } from '../../src/tools/configure/main.js';
import { configureSdk3 } from '../../src/tools/configure/sdk3.js';
import { type Component, components, configureCommands } from '../../src/tools/configure/sdk5.js';
import { playGoldens } from '../support/golden.js';
import { TestPrefix } from '../support/prefix.js';

/** A golden file per command: what is typed, what is printed, and the file that it writes. */
const commands = components.flatMap((component) =>
  configureCommands(component).map(({ path }) => [`configure-${component}`, ...path].join('-')),
);

describe('the configure programs, command by command', () => {
  it('print and write what the reference shows', async () => {
    const prefix = new TestPrefix([], { certificate: '', privateKey: '', trustAnchor: '' });
    const before = process.env['CLOUDHSM_LOCAL_PREFIX'];
    process.env['CLOUDHSM_LOCAL_PREFIX'] = prefix.directory;
    const names = ['configure', ...commands].map((name) => `configure-commands/${name}`);
    await playGoldens(names, { values: { prefix: prefix.directory } }, async (terminal) => {
      const print = (text: string): void => terminal.print(text);
      for (let line = await terminal.ask('$ '); line !== undefined; line = await terminal.ask('$ ')) {
        const [program = '', ...words] = line.split(' ');
        if (program === 'cat') print(readFileSync(words[0]!, 'utf8').trimEnd());
        else if (program === 'configure') await configureSdk3(words, print, print);
        else {
          const component = program.slice('configure-'.length) as Component;
          const env = { AWS_SHARED_CREDENTIALS_FILE: '/none', AWS_CONFIG_FILE: '/none' };
          await configureSdk5(component, words, env, print, print);
        }
      }
    });
    expect(existsSync(prefix.path('etc/cloudhsm-ksp.cfg'))).to.equal(true);
    if (before === undefined) delete process.env['CLOUDHSM_LOCAL_PREFIX'];
    else process.env['CLOUDHSM_LOCAL_PREFIX'] = before;
    prefix.remove();
  });
});
