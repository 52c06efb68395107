import type { Eventually } from '../../base/eventually.js';
import type { HsmSession } from '../hsm-session.js';
import type { Login } from '../roles.js';
import type { Write } from '../users.js';

/** One HSM command: who may send it, and what it does. Single-shot: nothing is kept for a next command but objects
 * and the login. `run` throws a Failure with a CKR code. `cause` is what the client calls its request: deviations that
 * are allowed are reported under it, and not at all without one. */
export interface Command<Request, Answer> {
  /** Who must be logged in on the connection: a row of src/hsm/roles.ts. */
  readonly login: Login;
  /** `write` makes durable what the command does. */
  run(session: HsmSession, request: Request, cause: string | undefined, write: Write): Eventually<Answer>;
}
