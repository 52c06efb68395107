import type { Eventually } from '../../base/eventually.js';
import type { HsmSession } from '../hsm-session.js';
import type { Role } from '../users.js';

/** One HSM command: who may send it, and what it does. Single-shot: nothing is kept for a next command but objects
 * and the login. `run` throws a Failure with a CKR code. `cause` is what the client calls its request: deviations that
 * are allowed are reported under it, and not at all without one. */
export interface Command<Request, Answer> {
  /** The role that must be logged in on the connection; `any` but the other HSMs', or `none`. */
  readonly login: Role | 'any' | 'none';
  run(session: HsmSession, request: Request, cause?: string): Eventually<Answer>;
}
