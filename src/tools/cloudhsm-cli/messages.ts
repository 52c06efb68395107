import { describeError, Failure } from '../../base/errors.js';
import { wrongCredentials } from '../../hsm/login-refused.js';
import { refused } from '../failure.js';

/** Of a login: "unknown for the CLI", so that of JCE (reference management-tools, section 6.8) [guess]. */
const INCORRECT_CREDENTIALS =
  'Incorrect credentials are passed for this operation: Incorrect authentication credentials.';

/** What a login says, whichever part of its credentials an HSM did not take. */
export const loginRefusal = (error: unknown): unknown =>
  error instanceof Failure && wrongCredentials.has(error.code)
    ? refused(INCORRECT_CREDENTIALS, error)
    : error;

/** Sentences of an HSM that the CLI ends where CloudHSM's end (section 6.8; user guide, "Set up quorum authentication for crypto
 * users"). */
const shortTexts = ['Quorum Failed', 'Invalid quorum value provided.'];

/** What stands in `data` for an error. */
export function messageOf(error: unknown): string {
  if (!(error instanceof Failure)) return describeError(error);
  const { message } = error;
  return shortTexts.find((text) => message.startsWith(text)) ?? message;
}
