import { limits } from '../../base/limits.js';
import type { KeySession } from './session.js';

/** What a flag may be followed by: undefined if it may, else why not. */
const kinds = {
  number: (word: string) =>
    /^(0|[1-9][0-9]*)$/.test(word) && Number.isSafeInteger(Number(word)) ? undefined : 'it takes a number',
  numbers: (word: string) =>
    word.split(',').length <= limits.usersPerHsm &&
    word.split(',').every((one) => /^[1-9][0-9]{0,9}$/.test(one))
      ? undefined
      : 'it takes a list of user ids such as 4,5',
  hex: (word: string) =>
    /^(0x)?[0-9a-fA-F]{1,32}$/.test(word) ? undefined : 'it takes a hexadecimal number',
  text: (word: string) =>
    Buffer.byteLength(word) <= limits.pinBytes ? undefined : `it takes ${limits.pinBytes} bytes at most`,
  file: (word: string) =>
    word !== '' && Buffer.byteLength(word) <= limits.pathBytes && !/\p{Cc}/u.test(word)
      ? undefined
      : 'it takes the path of a file',
} as const satisfies Record<string, (word: string) => string | undefined>;

export interface FlagRow {
  readonly help: string;
  /** None: the flag stands alone. */
  readonly kind?: keyof typeof kinds;
  readonly required?: true;
  /** The only values there are. */
  readonly choices?: readonly number[];
}

/** THE row per command: its flags by their names, help and checks come from it. */
export interface KeyCommandRow {
  readonly name: string;
  /** Its heading in `help` (reference management-tools, section 5.2). */
  readonly group: string;
  readonly purpose: string;
  readonly flags: Readonly<Record<string, FlagRow>>;
  /** A CU must be logged in. */
  readonly login?: true;
  run(session: KeySession, given: Given): Promise<void>;
}

/** The flags that were given. */
export class Given {
  constructor(private readonly values: ReadonlyMap<string, string>) {}

  has(flag: string): boolean {
    return this.values.has(flag);
  }

  text(flag: string): string {
    return this.values.get(flag)!;
  }

  find(flag: string): string | undefined {
    return this.values.get(flag);
  }

  number(flag: string): number {
    return Number(this.values.get(flag));
  }

  findNumber(flag: string): number | undefined {
    return this.values.has(flag) ? this.number(flag) : undefined;
  }

  /** User ids. */
  numbers(flag: string): number[] {
    return this.values.get(flag)?.split(',').map(Number) ?? [];
  }
}

const valueText = {
  number: '<number>',
  numbers: '<ids>',
  hex: '<hex>',
  text: '<text>',
  file: '<file>',
} as const;

function flagText([flag, { kind, required }]: [string, FlagRow]): string {
  const text = kind === undefined ? flag : `${flag} ${valueText[kind]}`;
  return required ? text : `[${text}]`;
}

export function usageOf({ name, flags }: KeyCommandRow): string {
  return [name, '-h', '|', name, ...Object.entries(flags).map(flagText)].join(' ');
}

export function helpOf(row: KeyCommandRow): readonly string[] {
  const flags = Object.entries(row.flags);
  const width = Math.max(2, ...flags.map(([flag]) => flag.length));
  return [
    `Description`,
    '===========',
    row.purpose,
    '',
    'Syntax',
    '======',
    usageOf(row),
    '',
    `        ${'-h'.padEnd(width)}  displays this information`,
    ...flags.map(
      ([flag, { help, required, choices }]) =>
        `        ${flag.padEnd(width)}  ${help}${choices ? ` (${choices.join(', ')})` : ''}${required ? ', required' : ''}`,
    ),
  ];
}

/** Sorts the words behind a command's name, or says what is wrong with them; never by quoting them: one may be a password. */
export function bind(row: KeyCommandRow, typed: readonly string[]): Given | string {
  const words = [...typed];
  const values = new Map<string, string>();
  while (words.length > 0) {
    const flag = words.shift()!;
    if (!Object.hasOwn(row.flags, flag)) return 'Error: there is a word that is no flag of this command';
    const { kind, choices } = row.flags[flag]!;
    if (values.has(flag)) return `Error: ${flag} is there twice`;
    const value = kind === undefined ? '' : words.shift();
    if (value === undefined) return `Error: ${flag} takes a value`;
    const wrong = kind && kinds[kind](value);
    if (wrong !== undefined) return `Error: ${flag}: ${wrong}`;
    if (choices !== undefined && !choices.includes(Number(value)))
      return `Error: ${flag} is one of ${choices.join(', ')}`;
    values.set(flag, value);
  }
  const missing = Object.entries(row.flags).find(([flag, { required }]) => required && !values.has(flag));
  return missing === undefined ? new Given(values) : `Error: ${missing[0]} is missing`;
}
