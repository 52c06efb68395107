import { commandFailure, type Failure } from '../base/errors.js';

/** What a reader tells its own log, and nobody else: which of the checks it was would help a forger. */
export type Detail = (text: string) => void;

/** A container whose clear text already says that this HSM cannot restore it. */
export function unsuitable(why: string): Failure {
  return commandFailure('BACKUP_REFUSED', why);
}

/** THE answer for everything that only the backup's keys can tell. */
export function rejected(): Failure {
  return unsuitable(
    'the backup is damaged, or HSMs of another manufacturer or another installation made it: choose another backup',
  );
}
