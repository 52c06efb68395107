import { Failure } from '../base/errors.js';

/** THE row per reason not to log somebody in: what the client is told, which does not say whether there is such a user. */
const reasons = {
  unknown: { code: 'CKR_PIN_INCORRECT', text: 'no such user, or a wrong password' },
  otherRole: { code: 'CKR_PIN_INCORRECT', text: 'no such user, or a wrong password' },
  wrongPassword: { code: 'CKR_PIN_INCORRECT', text: 'no such user, or a wrong password' },
  locked: { code: 'CKR_PIN_LOCKED', text: 'locked out: a CO unlocks by setting a new password' },
} as const;

export type LoginRefusal = keyof typeof reasons;

/** A login that was not let in. Only the audit log says why. */
export class LoginRefused extends Failure {
  constructor(
    readonly reason: LoginRefusal,
    name?: string,
  ) {
    const { code, text } = reasons[reason];
    super(code, name === undefined ? text : `${name} is ${text}`);
  }
}
