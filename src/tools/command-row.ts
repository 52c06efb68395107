import type { Role } from '../hsm/roles.js';
import { usage } from './failure.js';

/*
 * A tool's commands are rows: parsing, help, completion and the tests of bad input are made from them. Options are named;
 * each says how its words become a value, and a handler gets the values by their types.
 */

/** How a word becomes a value. `read` throws a Failure USAGE that says what the word may be. */
export interface Kind<T> {
  readonly choices?: readonly string[];
  read(word: string, option: string): T;
}

export const word: Kind<string> = {
  read: (value) => value,
};

export function oneOf<const Words extends readonly string[]>(...choices: Words): Kind<Words[number]> {
  return {
    choices,
    read: (value, option) => {
      if (choices.includes(value)) return value;
      throw usage(
        `invalid value '${shown(value)}' for '${option}'\n  [possible values: ${choices.join(', ')}]`,
      );
    },
  };
}

export function integer(least: number, most: number): Kind<number> {
  return {
    read: (value, option) => {
      const number = /^\d{1,15}$/.test(value) ? Number(value) : Number.NaN;
      if (number >= least && number <= most) return number;
      throw usage(`invalid value '${shown(value)}' for '${option}': ${least} to ${most} are possible`);
    },
  };
}

/** What somebody wrote, for a message: short, and without what a terminal would obey. */
export function shown(value: string): string {
  const printable = value.replace(/\p{Cc}/gu, '?');
  return printable.length <= 64 ? printable : `${printable.slice(0, 64)}…`;
}

/** An option as it is written: `-a`, `--cluster-id`. */
export const dashed = (name: string): string => `${name.length === 1 ? '-' : '--'}${name}`;

export interface Option<T> {
  readonly help: string;
  /** What stands for the value in help: `<USERNAME>`. None: the option is a flag. */
  readonly value?: string;
  readonly required: boolean;
  /** The letter that stands for it: `-v`. */
  readonly short?: string;
  /** Several words follow, up to the next option, and the option may come again. */
  readonly many: boolean;
  readonly choices?: readonly string[] | undefined;
  /** The words are passwords: they are in no history and no message. */
  readonly secret?: true;
  /** `words` is undefined where the option is not there. */
  read(words: readonly string[] | undefined, option: string): T;
}

export function flag(help: string): Option<boolean> {
  return { help, required: false, many: false, read: (words) => words !== undefined };
}

export function required<T>(value: string, help: string, kind: Kind<T> = word as Kind<never>): Option<T> {
  const read = (words: readonly string[] | undefined, option: string): T => kind.read(words![0]!, option);
  return { help, value, required: true, many: false, choices: kind.choices, read };
}

export function optional<T>(
  value: string,
  help: string,
  kind: Kind<T> = word as Kind<never>,
): Option<T | undefined> {
  const read = (words: readonly string[] | undefined, option: string): T | undefined =>
    words && kind.read(words[0]!, option);
  return { help, value, required: false, many: false, choices: kind.choices, read };
}

export function many(value: string, help: string): Option<readonly string[]> {
  return { help, value, required: false, many: true, read: (words) => words ?? [] };
}

export function requiredMany(value: string, help: string): Option<readonly string[]> {
  return { ...many(value, help), required: true };
}

/** A password, which the tool asks for when it is not there. */
export function secret(value: string, help: string): Option<string | undefined> {
  return { ...optional<string>(value, help), secret: true };
}

export type Options = Readonly<Record<string, Option<unknown>>>;
export type ValuesOf<O> = { readonly [Name in keyof O]: O[Name] extends Option<infer T> ? T : never };

interface Row<Context, O extends Options, Result> {
  /** The words that name it: `['user', 'create']`. */
  readonly path: readonly string[];
  readonly help: string;
  /** Who must be logged in; empty: nobody. The HSM decides; a tool says so early. */
  readonly roles: readonly Role[];
  /** By their names without dashes: `public-key` is `--public-key`. */
  readonly options: O;
  run(context: Context, values: ValuesOf<O>): Promise<Result>;
}

/** A row whose options are known to its handler alone. */
export type CommandRow<Context, Result = unknown> = Row<Context, Options, Result>;

/** Makes the maker of a tool's rows: `const command = rowsFor<Session>()`. */
export function rowsFor<Context, Result = unknown>() {
  return <O extends Options>(row: Row<Context, O, Result>): CommandRow<Context, Result> =>
    row as unknown as CommandRow<Context, Result>;
}
