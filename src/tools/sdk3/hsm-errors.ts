import { Failure } from '../../base/errors.js';
import { HsmUnavailable } from '../../hsm/unavailable.js';

/** An error as an HSM of Client SDK 3 gives it: the code, and the text that the tools print for it. */
export interface HsmError {
  readonly code: number;
  readonly text: string;
}

/** THE row per error (reference management-tools, sections 4.1, 5.1 and 8.1). Those from 0x3e8 up are ours [guess]: no number
 * is public for them. */
export const hsmErrors = {
  BAD_PKCS_DATA: { code: 0x1b, text: 'CSP Error: ERR_BAD_PKCS_DATA' },
  USER_UNKNOWN: {
    code: 0x9d,
    text: "HSM Error: user isn't initialized or user with this name doesn't exist",
  },
  LOGIN_FAILURE: { code: 0xa3, text: 'HSM Error: RET_USER_LOGIN_FAILURE' },
  INVALID_HANDLE: { code: 0xa8, text: 'HSM Error: Invalid object handle is passed to this operation' },
  POLICY: { code: 0xb3, text: 'HSM Error: This operation violates the current configured/FIPS policies' },
  ACCESS_DENIED: { code: 0xc6, text: 'HSM Error: Key Access is denied' },
  NO_SUCH_USER: { code: 0xce, text: "HSM Error: This user doesn't exist" },
  INVALID_USER_TYPE: { code: 0xdb, text: 'HSM Error: Invalid User Type.' },
  QUORUM_FAILED: { code: 0x3e8, text: 'HSM Error: RET_MXN_AUTH_FAILED' },
  NOT_LOGGED_IN: { code: 0x3e9, text: 'HSM Error: the session is not logged in for this operation' },
  BAD_ARGUMENTS: { code: 0x3ea, text: 'HSM Error: Invalid arguments' },
  NO_ROOM: { code: 0x3eb, text: 'HSM Error: No room on the HSM' },
  FAILED: { code: 0x3ec, text: 'HSM Error: The operation failed' },
  UNAVAILABLE: { code: 0x30000085, text: 'HSM CLUSTER ERROR: Server in cluster is unavailable' },
} as const satisfies Record<string, HsmError>;

export type HsmErrorName = keyof typeof hsmErrors;

const byCode: { readonly [code: string]: HsmErrorName } = {
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
  CKR_DEVICE_MEMORY: 'NO_ROOM',
};

/** What an HSM of Client SDK 3 would have called it. */
export function hsmErrorName(error: unknown): HsmErrorName {
  if (error instanceof HsmUnavailable) return 'UNAVAILABLE';
  return (error instanceof Failure ? byCode[error.code] : undefined) ?? 'FAILED';
}

/** Where the tools' own text says everything. */
const sayEnough: ReadonlySet<HsmErrorName> = new Set([
  'LOGIN_FAILURE',
  'USER_UNKNOWN',
  'QUORUM_FAILED',
  'INVALID_HANDLE',
  'UNAVAILABLE',
]);

export const saysEnough = (name: HsmErrorName): boolean => sayEnough.has(name);

/** `RET_MXN_AUTH_FAILED`: an error as cloudhsm_mgmt_util prints it, or, where its name is not public or says too little, the HSM's
 * own sentence. */
export function shortErrorText(error: unknown): string {
  const name = hsmErrorName(error);
  if (sayEnough.has(name) || !(error instanceof Failure))
    return hsmErrors[name].text.replace(/^HSM Error: /, '');
  return error.message;
}
