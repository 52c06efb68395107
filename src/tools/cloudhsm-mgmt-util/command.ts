import { limits } from '../../base/limits.js';
import { canonicalName } from '../../hsm/user-rules.js';
import { roleOf, userTypeNames } from '../sdk3/users.js';
import type { Session } from './session.js';

/** What an argument may be: undefined if it is, else why not. */
const kinds = {
  userType: (word: string) =>
    roleOf(word) === undefined ? `a user type is one of ${userTypeNames.join(', ')}` : undefined,
  userName: (word: string) =>
    canonicalName(word) === undefined
      ? `a user name has 1 to ${limits.userNameMaxCharacters} letters, digits or underscores`
      : undefined,
  password: (word: string) =>
    Buffer.byteLength(word) > limits.pinBytes ? 'it is too long to be a password' : undefined,
  number: (word: string) =>
    /^(0|[1-9][0-9]*)$/.test(word) && Number.isSafeInteger(Number(word)) ? undefined : 'it is no number',
  flag: (word: string) => (word === '0' || word === '1' ? undefined : 'it is neither 0 nor 1'),
  file: (word: string) =>
    Buffer.byteLength(word) > limits.pathBytes || /\p{Cc}/u.test(word) ? 'it is no path' : undefined,
  text: () => undefined,
} as const satisfies Record<string, (word: string) => string | undefined>;

export interface ArgumentRow {
  /** As in the usage line: `user-type`. */
  readonly name: string;
  readonly kind: keyof typeof kinds;
  readonly optional?: true;
  /** The word itself: `info server`. */
  readonly literal?: true;
}

/** THE row per command: everything its help and its checks need. */
export interface CommandRow {
  readonly name: string;
  /** An older name, which goes on working. */
  readonly alias?: string;
  readonly purpose: string;
  readonly who: string;
  readonly arguments: readonly ArgumentRow[];
  /** `-2fa <file>`, behind the arguments. */
  readonly secondFactor?: true;
  /** A word without meaning that some releases want before the arguments: `getKeyInfo -k 7`. */
  readonly leadingFlag?: string;
  /** Only after `server <n>`. */
  readonly serverMode?: true;
  /** Asks first whether it is to go on: see the CAUTION text. */
  readonly critical?: true;
  run(session: Session, given: Given): Promise<void>;
}

/** What was typed behind a command's name. */
export class Given {
  constructor(
    private readonly words: ReadonlyMap<string, string>,
    /** The file of `-2fa`. */
    readonly secondFactorFile?: string,
  ) {}

  find(name: string): string | undefined {
    return this.words.get(name);
  }

  text(name: string): string {
    return this.words.get(name)!;
  }

  number(name: string): number {
    return Number(this.text(name));
  }
}

function argumentText({ name, kind, optional, literal }: ArgumentRow): string {
  if (literal) return name;
  const text = kind === 'password' ? `<${name} |-hpswd>` : `<${name}>`;
  return optional ? `[${text}]` : text;
}

/** `createUser <user-type> <user-name> <password |-hpswd> [-2fa </path/to/authdata>]`. */
export function usageOf(row: CommandRow): string {
  const flag = row.leadingFlag === undefined ? [] : [`[${row.leadingFlag}]`];
  const secondFactor = row.secondFactor ? ['[-2fa </path/to/authdata>]'] : [];
  return [row.name, ...flag, ...row.arguments.map(argumentText), ...secondFactor].join(' ');
}

/** Sorts the words behind a command's name, or says what is wrong with them; never by quoting them: one may be a password. */
export function bind(row: CommandRow, typed: readonly string[]): Given | string {
  const words = [...typed];
  if (row.leadingFlag !== undefined && words[0] === row.leadingFlag) words.shift();
  let secondFactorFile: string | undefined;
  if (row.secondFactor && words.at(-2) === '-2fa') {
    secondFactorFile = words.pop();
    words.pop();
    const wrong = kinds.file(secondFactorFile!);
    if (wrong !== undefined) return `-2fa: ${wrong}`;
  }
  const bound = new Map<string, string>();
  for (const argument of row.arguments) {
    const word = words.shift();
    if (word === undefined) {
      if (argument.optional) continue;
      return `${argumentText(argument)} is missing`;
    }
    if (argument.literal && word !== argument.name) return `${argument.name} is missing`;
    const wrong = kinds[argument.kind](word);
    if (wrong !== undefined) return `${argument.name}: ${wrong}`;
    bound.set(argument.name, word);
  }
  return words.length > 0 ? 'there are too many arguments' : new Given(bound, secondFactorFile);
}

/** The command that a word names: "any unambiguous prefix" (reference management-tools, section 4.1), or those it may mean. */
export function findCommand(rows: readonly CommandRow[], word: string): CommandRow | readonly CommandRow[] {
  const wanted = word.toLowerCase();
  const names = ({ name, alias }: CommandRow): string[] =>
    [name, alias ?? name].map((one) => one.toLowerCase());
  const exact = rows.find((row) => names(row).includes(wanted));
  if (exact !== undefined) return exact;
  const possible = rows.filter((row) => names(row).some((name) => name.startsWith(wanted)));
  return possible.length === 1 ? possible[0]! : possible;
}
