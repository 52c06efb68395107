import { describeError } from '../../base/errors.js';
import { isUsage } from '../failure.js';
import { helpText } from '../help.js';
import { parseWords } from '../parsing.js';
import { prefixPath } from '../prefix.js';
import { type Component, configureCommands } from './sdk5.js';

const VERSION = '5.18.0 (cloudhsm-local)';

/** Runs configure-<component> to its end; its exit status. */
export async function configureSdk5(
  component: Component,
  words: readonly string[],
  env: NodeJS.ProcessEnv = process.env,
  print: (text: string) => void = console.log,
  complain: (text: string) => void = console.error,
): Promise<number> {
  const tool = `configure-${component}`;
  const rows = configureCommands(component);
  try {
    if (words[0] === '-V' || words[0] === '--version') {
      print(`${tool} ${VERSION}`);
      return 0;
    }
    const parsed = parseWords(rows, words);
    if (parsed.is === 'help') {
      print(helpText({ tool, about: rows[0]!.help, rows, groups: {}, common: {} }, parsed.path));
      return 0;
    }
    const file = prefixPath('etc', `cloudhsm-${component}.cfg`);
    await parsed.row.run({ file, component, env }, parsed.values);
    return 0;
  } catch (error) {
    complain(
      isUsage(error)
        ? `error: ${error.message}\n\nFor more information, try '${tool} --help'.`
        : `${tool}: ${describeError(error)}`,
    );
    return isUsage(error) ? 2 : 1;
  }
}
