import { completions } from '../completion.js';
import { isUsage } from '../failure.js';
import { splitWords } from '../parsing.js';
import type { Completer, Memory, Terminal } from '../terminal.js';
import { cliCommands, cliGroups, commonOptions } from './commands/index.js';
import type { CliClusters } from './context.js';
import { cliHelp, parseCli, printed, runCommand } from './run.js';

const PROMPT = 'aws-cloudhsm > ';

/** A line with a password in it is not remembered. */
const secretOptions = new Set(
  cliCommands.flatMap(({ options }) =>
    Object.entries(options)
      .filter(([, option]) => option.secret === true)
      .map(([name]) => `--${name}`),
  ),
);
export const remember: Memory = (line) => ![...secretOptions].some((option) => line.includes(option));

const help = { rows: cliCommands, groups: cliGroups, common: commonOptions };
/** The words that may come next. */
export const cliCompletions = (words: readonly string[]): string[] => [
  ...completions(help, words),
  ...(words.length === 0 ? ['help'] : []),
];
export const complete: Completer = (line) => {
  const words = line.split(/\s+/);
  const last = words.pop() ?? '';
  const first = words.length === 0 ? ['quit'] : [];
  const found = [...cliCompletions(words), ...first].filter((one) => one.startsWith(last));
  return [found.map((one) => `${one} `), last];
};

/** "Logged in on several clusters: `crypto-user-1@cluster-1234abcdefg > `" (reference management-tools, section 6.1). */
async function promptFor(clusters: CliClusters): Promise<string> {
  if (!clusters.several) return PROMPT;
  const logins = await clusters.logins();
  const names = logins.map(({ id, login }) => `${login!.username}@${id}`);
  return names.length === 0 ? PROMPT : `${names.join(' ')} > `;
}

/** A line, and those that it goes on with behind a trailing backslash. */
async function nextLine(terminal: Terminal, prompt: string): Promise<string | undefined> {
  let whole = '';
  for (let part = prompt; ; part = '> ') {
    const line = await terminal.ask(part, { history: true });
    if (line === undefined) return whole === '' ? undefined : whole;
    if (!line.endsWith('\\')) return whole + line;
    whole += `${line.slice(0, -1)} `;
  }
}

/** Reads commands until `quit` or the end of the input. */
export async function interact(
  terminal: Terminal,
  env: NodeJS.ProcessEnv,
  clusters: CliClusters,
): Promise<void> {
  for (;;) {
    const line = await nextLine(terminal, await promptFor(clusters));
    if (line === undefined) return;
    try {
      const words = splitWords(line);
      if (words.length === 0) continue;
      if (words[0] === 'quit' || words[0] === 'exit') return;
      const parsed = parseCli(words);
      if (parsed.is === 'help') terminal.print(cliHelp(parsed.path));
      else terminal.print(printed(await runCommand(parsed, { terminal, env, clusters, single: false })));
    } catch (error) {
      if (!isUsage(error)) throw error;
      terminal.complain(`error: ${error.message}\n\nFor more information, try 'help'.`);
    }
  }
}
