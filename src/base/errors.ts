/** An error that is an answer, to somebody who may ask for it all day: no stack is collected, which would take longer than the rest. */
export class StacklessError extends Error {
  constructor(message: string, options?: { cause?: unknown }) {
    const limit = Error.stackTraceLimit;
    Error.stackTraceLimit = 0;
    super(message, options);
    Error.stackTraceLimit = limit;
  }
}

/**
 * The one error that crosses rooms: a stable code for programs, a text for people, and what caused it.
 *
 * The code is a name, not a number: `CKR_…` where PKCS#11 defines the answer (see `src/pkcs11/ckr.ts`), or one
 * of the commands' own codes below. The edge that answers somebody turns it into a number or an exit status and
 * writes it to the log once.
 */
export class Failure extends StacklessError {
  readonly code: string;

  constructor(code: string, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = 'Failure';
    this.code = code;
  }
}

/** The codes of failures that no PKCS#11 call reports, with the exit status of the command that prints them. */
export const commandFailures = {
  /** Another engine already runs on this home. */
  ALREADY_RUNNING: 3,
  /** No engine runs on this home. */
  NOT_RUNNING: 4,
  /** The engine did not become ready. */
  START_FAILED: 5,
  /** A file of the home or a setting is unusable; the text says which and why. */
  BAD_CONFIGURATION: 6,
  /** What is on disk was not written by this program, or was changed behind its back. */
  CORRUPT_STORE: 7,
  /** An HSM does not restore the backup: it is damaged, of other HSMs, or for another kind of HSM. */
  BACKUP_REFUSED: 8,
} as const;

export type CommandFailure = keyof typeof commandFailures;

export function commandFailure(code: CommandFailure, message: string, cause?: unknown): Failure {
  return new Failure(code, message, { cause });
}

/** What the operating system does not do with a file, as a command says it; any other error as it is. */
export function asCommandFailure(error: unknown): unknown {
  if (!(error instanceof Error) || error instanceof Failure) return error;
  const { syscall, path } = error as NodeJS.ErrnoException;
  if (syscall === undefined || path === undefined) return error;
  return commandFailure('BAD_CONFIGURATION', `${path} cannot be used`, error);
}

/** One thing that a schema finds wrong. */
interface Issue {
  readonly path: readonly PropertyKey[];
  readonly message: string;
}

const MOST_ISSUES = 5;

/** What a schema finds wrong, on one line. */
export function describeIssues(issues: readonly Issue[]): string {
  const texts = issues.map(({ path, message }) => `${path.map(String).join('.') || 'it'}: ${message}`);
  const more = texts.length > MOST_ISSUES ? [`and ${texts.length - MOST_ISSUES} more`] : [];
  return [...texts.slice(0, MOST_ISSUES), ...more].join('; ');
}

/** A schema's own message has a line for every bracket. */
function textOf(error: unknown): string {
  const { issues } = (error ?? {}) as { issues?: readonly Issue[] };
  if (Array.isArray(issues)) return describeIssues(issues);
  return error instanceof Error ? error.message : String(error);
}

/** The text of an error with the chain of its causes, for a log line. */
export function describeError(error: unknown): string {
  const parts: string[] = [];
  for (let at: unknown = error; at !== undefined && parts.length < 8; ) {
    // Who hands an error on in its own words says nothing more.
    const text = textOf(at);
    if (text !== parts.at(-1)) parts.push(text);
    at = at instanceof Error ? at.cause : undefined;
  }
  return parts.join(': ');
}
