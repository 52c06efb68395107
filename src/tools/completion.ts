import { type CommandRow, dashed, type Options } from './command-row.js';
import { type GroupHelp, nextWords } from './help.js';

interface Completes<Context, Result> {
  readonly rows: readonly CommandRow<Context, Result>[];
  readonly groups: GroupHelp;
  readonly common: Options;
}

/** The words that may follow some words: further words of a command, its options, or the choices of its last option. */
export function completions<Context, Result>(
  { rows, groups, common }: Completes<Context, Result>,
  words: readonly string[],
): string[] {
  const firstOption = words.findIndex((word) => word.startsWith('-'));
  const path = (firstOption < 0 ? words : words.slice(0, firstOption)).filter((word) => word !== 'help');
  const row = rows.find((one) => one.path.join(' ') === path.join(' '));
  const options = row === undefined ? {} : { ...common, ...row.options };
  const last = options[words.at(-1)?.replace(/^--/, '') ?? ''];
  if (last?.value !== undefined && words.at(-1)?.startsWith('--')) return [...(last.choices ?? [])];
  const given = new Set(words);
  return [
    ...nextWords({ rows, groups }, path).map(([word]) => word),
    ...Object.entries(options)
      .filter(([name, option]) => option.many || !given.has(dashed(name)))
      .map(([name]) => dashed(name)),
  ];
}
