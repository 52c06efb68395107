import { type CommandRow, dashed, type Option, type Options } from './command-row.js';

/** What groups of commands are about, by the words that they begin with. */
export type GroupHelp = Readonly<Record<string, string>>;

interface HelpOf<Context, Result> {
  /** The program's name, as it stands in usage lines. */
  readonly tool: string;
  readonly about: string;
  readonly rows: readonly CommandRow<Context, Result>[];
  readonly groups: GroupHelp;
  readonly common: Options;
}

const HELP_LINE = ['  -h, --help', 'Print help'] as const;

function columns(lines: readonly (readonly [string, string])[]): string[] {
  const width = Math.max(...lines.map(([left]) => left.length));
  return lines.map(([left, right]) => `${left.padEnd(width)}  ${right}`.trimEnd());
}

function optionLine([name, { value, many, choices, help, short }]: [string, Option<unknown>]): [
  string,
  string,
] {
  const shown = value === undefined ? '' : ` <${value}>${many ? '...' : ''}`;
  const possible = choices === undefined ? '' : ` [possible values: ${choices.join(', ')}]`;
  const letter = short === undefined ? '      ' : `  ${dashed(short)}, `;
  return [`${letter}${dashed(name)}${shown}`, `${help}${possible}`];
}

/** The line that says how a command is written: what must be there stands for itself, the rest is [OPTIONS]. */
export function usageLine(tool: string, { path, options }: CommandRow<never>): string {
  const must = Object.entries(options)
    .filter(([, option]) => option.required)
    .map(([name, { value, many }]) => `${dashed(name)} <${value}>${many ? '...' : ''}`);
  return ['Usage:', tool, ...path, '[OPTIONS]', ...must].join(' ');
}

/** The next words there are behind a path, with what they are about. */
export function nextWords<Context, Result>(
  { rows, groups }: Pick<HelpOf<Context, Result>, 'rows' | 'groups'>,
  path: readonly string[],
): [string, string][] {
  const words = new Map<string, string>();
  for (const row of rows) {
    if (row.path.length <= path.length || !path.every((word, at) => row.path[at] === word)) continue;
    const next = row.path[path.length]!;
    const isWhole = row.path.length === path.length + 1;
    const group = groups[[...path, next].join(' ')];
    words.set(next, words.get(next) ?? group ?? (isWhole ? row.help : ''));
  }
  return [...words];
}

/** Help on a command, on a group of them, or on all. */
export function helpText<Context, Result>(help: HelpOf<Context, Result>, path: readonly string[]): string {
  const { tool, about, rows, groups, common } = help;
  const row = rows.find((one) => one.path.join(' ') === path.join(' '));
  const next = nextWords(help, path);
  const lines = [row?.help ?? groups[path.join(' ')] ?? about, ''];
  lines.push(
    row === undefined
      ? ['Usage:', tool, ...path, '<COMMAND>'].join(' ')
      : usageLine(tool, row) + (next.length > 0 ? ' [COMMAND]' : ''),
  );
  if (next.length > 0) {
    const commands = next.map(([word, text]): [string, string] => [`  ${word}`, text]);
    lines.push(
      '',
      'Commands:',
      ...columns([...commands, ['  help', 'Print this message or the help of the given subcommand(s)']]),
    );
  }
  const options = row === undefined ? {} : { ...common, ...row.options };
  lines.push('', 'Options:', ...columns([...Object.entries(options).map(optionLine), HELP_LINE]));
  return lines.join('\n');
}
