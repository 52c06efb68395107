import { Failure } from '../base/errors.js';

/** THE row per response of an HSM: number and text, as its audit log and the tools of Client SDK 3 have them (reference
 * management-tools, sections 4.1, 5.1 and 8.1). Those from 1000 up are ours [guess]: no number is public for them. */
export const hsmResponses = {
  SUCCESS: { number: 0, text: 'HSM Return: SUCCESS' },
  USER_UNKNOWN: {
    number: 0x9d,
    text: "HSM Error: user isn't initialized or user with this name doesn't exist",
  },
  LOGIN_FAILURE: { number: 0xa3, text: 'HSM Error: RET_USER_LOGIN_FAILURE' },
  INVALID_HANDLE: { number: 0xa8, text: 'HSM Error: Invalid object handle is passed to this operation' },
  POLICY: { number: 0xb3, text: 'HSM Error: This operation violates the current configured/FIPS policies' },
  ACCESS_DENIED: { number: 0xc6, text: 'HSM Error: Key Access is denied' },
  NO_SUCH_USER: { number: 0xce, text: "HSM Error: This user doesn't exist" },
  INVALID_USER_TYPE: { number: 0xdb, text: 'HSM Error: Invalid User Type.' },
  QUORUM_FAILED: { number: 1000, text: 'HSM Error: RET_MXN_AUTH_FAILED' },
  NO_MEMORY: { number: 1001, text: 'HSM Error: No room on the HSM' },
  BAD_ARGUMENTS: { number: 1002, text: 'HSM Error: Invalid arguments' },
  FAILED: { number: 1003, text: 'HSM Error: The operation failed' },
  NOT_LOGGED_IN: { number: 1004, text: 'HSM Error: the session is not logged in for this operation' },
} as const satisfies Record<string, { number: number; text: string }>;

export type HsmResponse = keyof typeof hsmResponses;

const byCode: { readonly [code: string]: HsmResponse } = {
  CKR_USER_PIN_NOT_INITIALIZED: 'USER_UNKNOWN',
  CKR_PIN_INCORRECT: 'LOGIN_FAILURE',
  CKR_PIN_LOCKED: 'LOGIN_FAILURE',
  CKR_OBJECT_HANDLE_INVALID: 'INVALID_HANDLE',
  CKR_KEY_HANDLE_INVALID: 'INVALID_HANDLE',
  CKR_WRAPPING_KEY_HANDLE_INVALID: 'INVALID_HANDLE',
  CKR_UNWRAPPING_KEY_HANDLE_INVALID: 'INVALID_HANDLE',
  CKR_MECHANISM_INVALID: 'POLICY',
  CKR_KEY_SIZE_RANGE: 'POLICY',
  CKR_KEY_FUNCTION_NOT_PERMITTED: 'ACCESS_DENIED',
  CKR_ACTION_PROHIBITED: 'ACCESS_DENIED',
  CKR_USER_TYPE_INVALID: 'NO_SUCH_USER',
  CKR_FUNCTION_REJECTED: 'QUORUM_FAILED',
  CKR_SIGNATURE_INVALID: 'QUORUM_FAILED',
  CKR_USER_NOT_LOGGED_IN: 'NOT_LOGGED_IN',
  CKR_ARGUMENTS_BAD: 'BAD_ARGUMENTS',
  CKR_PIN_LEN_RANGE: 'BAD_ARGUMENTS',
  CKR_PIN_INVALID: 'BAD_ARGUMENTS',
  CKR_DEVICE_MEMORY: 'NO_MEMORY',
};

/** What an HSM calls an error. */
export function hsmResponseTo(error: unknown): HsmResponse {
  return (error instanceof Failure ? byCode[error.code] : undefined) ?? 'FAILED';
}
