import { Failure } from '../../base/errors.js';
import { LoginRefused } from '../login-refused.js';

/** THE row per response in audit logs: number and text (reference management-tools, sections 5.1 and 8.1). Those from 1000 up are
 * ours [guess]. */
export const responses = {
  SUCCESS: { number: 0, text: 'HSM Return: SUCCESS' },
  USER_UNKNOWN: {
    number: 157,
    text: "HSM Error: user isn't initialized or user with this name doesn't exist",
  },
  LOGIN_FAILURE: { number: 163, text: 'HSM Error: RET_USER_LOGIN_FAILURE' },
  INVALID_HANDLE: { number: 0xa8, text: 'HSM Error: Invalid object handle is passed to this operation' },
  POLICY: { number: 0xb3, text: 'HSM Error: This operation violates the current configured/FIPS policies' },
  ACCESS_DENIED: { number: 0xc6, text: 'HSM Error: Key Access is denied' },
  NO_SUCH_USER: { number: 0xce, text: "HSM Error: This user doesn't exist" },
  INVALID_USER_TYPE: { number: 0xdb, text: 'HSM Error: Invalid User Type.' },
  QUORUM_FAILED: { number: 1000, text: 'HSM Error: RET_MXN_AUTH_FAILED' },
  NO_MEMORY: { number: 1001, text: 'HSM Error: no room' },
  BAD_ARGUMENTS: { number: 1002, text: 'HSM Error: invalid arguments' },
  FAILED: { number: 1003, text: 'HSM Error: the operation failed' },
} as const satisfies Record<string, { number: number; text: string }>;

export type Response = keyof typeof responses;

const byCode: { readonly [code: string]: Response } = {
  CKR_OBJECT_HANDLE_INVALID: 'INVALID_HANDLE',
  CKR_KEY_HANDLE_INVALID: 'INVALID_HANDLE',
  CKR_ACTION_PROHIBITED: 'ACCESS_DENIED',
  CKR_MECHANISM_INVALID: 'POLICY',
  CKR_USER_TYPE_INVALID: 'NO_SUCH_USER',
  CKR_DEVICE_MEMORY: 'NO_MEMORY',
  CKR_PIN_LEN_RANGE: 'BAD_ARGUMENTS',
  CKR_PIN_INVALID: 'BAD_ARGUMENTS',
  CKR_ARGUMENTS_BAD: 'BAD_ARGUMENTS',
  CKR_FUNCTION_REJECTED: 'QUORUM_FAILED',
  CKR_SIGNATURE_INVALID: 'QUORUM_FAILED',
};

const byLogin = {
  unknown: 'USER_UNKNOWN',
  otherRole: 'NO_SUCH_USER',
  wrongPassword: 'LOGIN_FAILURE',
  locked: 'LOGIN_FAILURE',
} as const satisfies Record<LoginRefused['reason'], Response>;

/** What the log says of an error. */
export function responseTo(error: unknown): Response {
  if (error instanceof LoginRefused) return byLogin[error.reason];
  return (error instanceof Failure ? byCode[error.code] : undefined) ?? 'FAILED';
}
