import { Failure } from '../base/errors.js';

/**
 * THE row per reason not to log somebody in: what the client is told. Names are no secret ("user list: anyone"), and the HSM tells
 * them apart (0x9d, 0xce and 0xa3 of reference management-tools, section 5.1); programs learn no more than CKR_PIN_INCORRECT.
 */
const reasons = {
  unknown: {
    code: 'CKR_USER_PIN_NOT_INITIALIZED',
    text: "user isn't initialized or user with this name doesn't exist",
  },
  otherRole: { code: 'CKR_USER_TYPE_INVALID', text: 'there is no user of this type and name' },
  wrongPassword: { code: 'CKR_PIN_INCORRECT', text: 'the password is wrong' },
  locked: { code: 'CKR_PIN_LOCKED', text: 'locked out: a CO unlocks by setting a new password' },
} as const;

export type LoginRefusal = keyof typeof reasons;

/** The codes that say that name and password are not those of a user. */
export const wrongCredentials: ReadonlySet<string> = new Set([
  reasons.unknown.code,
  reasons.otherRole.code,
  reasons.wrongPassword.code,
]);

/** A login that was not let in. */
export class LoginRefused extends Failure {
  constructor(
    readonly reason: LoginRefusal,
    name?: string,
  ) {
    const { code, text } = reasons[reason];
    super(code, name === undefined ? text : `${name} is ${text}`);
  }
}
