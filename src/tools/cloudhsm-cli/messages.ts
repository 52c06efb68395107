import { describeError, Failure } from '../../base/errors.js';
import { wrongCredentials } from '../../hsm/login-refused.js';

/** THE row per answer of an HSM that CloudHSM's CLI has words of its own for (reference management-tools, section 6.8). */
const texts: Readonly<Record<string, string>> = {
  // "Unknown for the CLI": those of JCE [guess].
  ...Object.fromEntries(
    [...wrongCredentials].map((code) => [
      code,
      'Incorrect credentials are passed for this operation: Incorrect authentication credentials.',
    ]),
  ),
};

/** Sentences of an HSM that the CLI ends where CloudHSM's end (section 6.8; user guide, "Set up quorum authentication for crypto
 * users"). */
const shortTexts = ['Quorum Failed', 'Invalid quorum value provided.'];

/** What stands in `data` for an error. */
export function messageOf(error: unknown): string {
  if (!(error instanceof Failure)) return describeError(error);
  const { code, message } = error;
  return texts[code] ?? shortTexts.find((text) => message.startsWith(text)) ?? message;
}
