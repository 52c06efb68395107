import { Failure } from '../base/errors.js';

/** How a tool says no: `USAGE` for words that are no command, `REFUSED` for a command that was not done. */
export type ToolFailureCode = 'USAGE' | 'REFUSED';

export function usage(text: string): Failure {
  return new Failure('USAGE' satisfies ToolFailureCode, text);
}

export function refused(text: string, cause?: unknown): Failure {
  return new Failure('REFUSED' satisfies ToolFailureCode, text, { cause });
}

export const isUsage = (error: unknown): error is Failure =>
  error instanceof Failure && error.code === 'USAGE';
