import { Failure } from '../base/errors.js';

/** How a tool says no: `USAGE` for words that are no command, `REFUSED` for a command that was not done. */
export type ToolFailureCode = 'USAGE' | 'REFUSED';

/** A text that quotes what somebody wrote, without what a terminal would obey. */
const printable = (text: string): string => text.replace(/[^\P{Cc}\n\t]/gu, '?');

export function usage(text: string): Failure {
  return new Failure('USAGE' satisfies ToolFailureCode, printable(text));
}

export function refused(text: string, cause?: unknown): Failure {
  return new Failure('REFUSED' satisfies ToolFailureCode, printable(text), { cause });
}

export const isUsage = (error: unknown): error is Failure =>
  error instanceof Failure && error.code === 'USAGE';
