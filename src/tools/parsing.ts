import { type CommandRow, dashed, type Option, type Options, shown } from './command-row.js';
import { usage } from './failure.js';

/** What a line asks for. */
export type Parsed<Context, Result> =
  | {
      readonly is: 'command';
      readonly row: CommandRow<Context, Result>;
      readonly values: Readonly<Record<string, unknown>>;
    }
  | { readonly is: 'help'; readonly path: readonly string[] };

const isOption = (word: string): boolean => /^--?[A-Za-z]/.test(word);
const startsWith = (path: readonly string[], beginning: readonly string[]): boolean =>
  beginning.every((word, at) => path[at] === word);

/** A shell's quoting, without anything that a shell would expand. Throws USAGE for a quote that does not end. */
export function splitWords(line: string): string[] {
  const words: string[] = [];
  let current: string | undefined;
  let quote = '';
  for (let at = 0; at < line.length; at++) {
    const character = line[at]!;
    if (quote !== '') {
      if (character === quote) quote = '';
      else if (character === '\\' && quote === '"' && /["\\]/.test(line[at + 1] ?? ''))
        current += line[++at]!;
      else current += character;
    } else if (character === '"' || character === "'") {
      quote = character;
      current ??= '';
    } else if (character === '\\' && at + 1 < line.length) current = (current ?? '') + line[++at]!;
    else if (/\s/.test(character)) {
      if (current !== undefined) words.push(current);
      current = undefined;
    } else current = (current ?? '') + character;
  }
  if (quote !== '') throw usage(`a quotation begins with ${quote} and does not end`);
  if (current !== undefined) words.push(current);
  return words;
}

interface Sorted {
  readonly path: readonly string[];
  readonly given: ReadonlyMap<string, readonly string[]>;
}

/**
 * Tells the words that name the command from its options. A value may begin with a dash only behind `=`. What stands behind a password
 * and is no word of a command may be the rest of it, and is not quoted.
 */
function sortWords(
  words: readonly string[],
  optionOf: (written: string) => readonly [string, Option<unknown>] | undefined,
  isOfPath: (word: string) => boolean,
): Sorted {
  const path: string[] = [];
  const given = new Map<string, string[]>();
  let behindSecret: string | undefined;
  for (let at = 0; at < words.length; at++) {
    const word = words[at]!;
    if (!isOption(word)) {
      if (behindSecret !== undefined && !isOfPath(word))
        throw usage(`'${behindSecret}' takes one word: put one with spaces in it between quotation marks`);
      path.push(word);
      continue;
    }
    const [, written = '', , attached] = /^([^=]+)(=(.*))?$/s.exec(word) ?? [];
    const found = optionOf(written);
    if (found === undefined) throw usage(`unexpected argument '${shown(written)}' found`);
    const [name, option] = found;
    behindSecret = option.secret && dashed(name);
    const values = attached === undefined ? [] : [attached];
    const most = option.value === undefined ? 0 : option.many ? Number.POSITIVE_INFINITY : 1;
    if (values.length > most) throw usage(`'${dashed(name)}' takes no value`);
    while (values.length < most && at + 1 < words.length && !isOption(words[at + 1]!))
      values.push(words[++at]!);
    if (most > 0 && values.length === 0)
      throw usage(`a value is required for '${dashed(name)} <${option.value}>' but none was supplied`);
    const before = given.get(name);
    if (before !== undefined && !option.many)
      throw usage(`the argument '${dashed(name)}' cannot be used multiple times`);
    given.set(name, [...(before ?? []), ...values]);
  }
  return { path, given };
}

/** Finds the row that words name and reads its options. Throws USAGE. `common`: options that all rows have. */
export function parseWords<Context, Result>(
  rows: readonly CommandRow<Context, Result>[],
  words: readonly string[],
  common: Options = {},
): Parsed<Context, Result> {
  const names = new Map<string, readonly [string, Option<unknown>]>();
  const learn = (options: Options): void => {
    for (const [name, option] of Object.entries(options)) {
      names.set(dashed(name), [name, option]);
      if (option.short !== undefined) names.set(dashed(option.short), [name, option]);
    }
  };
  learn(common);
  const plain = words.filter((word) => !isOption(word));
  for (const { path, options } of rows) {
    if (path.length > 0 && path[0] !== plain[0]) continue;
    learn(options);
  }
  const optionsAt = words.findIndex(isOption);
  const named = optionsAt < 0 ? words : words.slice(0, optionsAt);
  const asksHelp = named.includes('help') || words.includes('-h') || words.includes('--help');
  if (asksHelp) return { is: 'help', path: pathOfHelp(rows, named) };
  const { path, given } = sortWords(
    words,
    (written) => names.get(written),
    (word) => rows.some((row) => row.path.includes(word)),
  );
  const row = rows.find((one) => one.path.length === path.length && startsWith(path, one.path));
  if (row === undefined) {
    if (path.length === 0) throw usage('a command is missing');
    const unknown = path[knownWords(rows, path)];
    throw usage(
      unknown === undefined
        ? `'${path.join(' ')}' requires a subcommand but one was not provided`
        : `unrecognized subcommand '${shown(unknown)}'`,
    );
  }
  const options: Options = { ...common, ...row.options };
  for (const name of given.keys())
    if (!Object.hasOwn(options, name)) throw usage(`unexpected argument '${dashed(shown(name))}' found`);
  const missing = Object.entries(options).filter(([name, option]) => option.required && !given.has(name));
  if (missing.length > 0) {
    const lines = missing.map(([name, { value }]) => `  ${dashed(name)} <${value}>`);
    throw usage(`the following required arguments were not provided:\n${lines.join('\n')}`);
  }
  const values = Object.fromEntries(
    Object.entries(options).map(([name, option]) => [name, option.read(given.get(name), dashed(name))]),
  );
  return { is: 'command', row, values };
}

/** How many of the first words begin the path of some row. */
function knownWords(rows: readonly CommandRow<never>[], path: readonly string[]): number {
  let known = 0;
  while (known < path.length && rows.some((row) => startsWith(row.path, path.slice(0, known + 1)))) known++;
  return known;
}

/** `help user create`, `user help create` and `user create --help` ask the same. Throws USAGE for what there is no help on. */
function pathOfHelp(rows: readonly CommandRow<never>[], plain: readonly string[]): readonly string[] {
  const path = plain.filter((word) => word !== 'help');
  const unknown = path[knownWords(rows, path)];
  if (unknown !== undefined) throw usage(`unrecognized subcommand '${shown(unknown)}'`);
  return path;
}
