import { Failure } from '../../src/base/errors.js';

/** The code with which something fails, or CKR_OK. */
export async function codeOf(attempt: () => unknown): Promise<string> {
  try {
    await attempt();
    return 'CKR_OK';
  } catch (error) {
    return error instanceof Failure ? error.code : String(error);
  }
}
