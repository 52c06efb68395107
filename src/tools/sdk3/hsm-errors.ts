import { Failure } from '../../base/errors.js';
import { hsmResponses, hsmResponseTo } from '../../hsm/hsm-responses.js';
import { HsmUnavailable } from '../../hsm/unavailable.js';

/** THE row per answer that the tools of Client SDK 3 print: what an HSM answers, and what the client says by itself (reference
 * management-tools, sections 4.1 and 5.1). */
export const hsmErrors = {
  ...hsmResponses,
  BAD_PKCS_DATA: { number: 0x1b, text: 'CSP Error: ERR_BAD_PKCS_DATA' },
  UNAVAILABLE: { number: 0x30000085, text: 'HSM CLUSTER ERROR: Server in cluster is unavailable' },
} as const;

export type HsmErrorName = keyof typeof hsmErrors;

/** What the tools call an error. */
export function hsmErrorName(error: unknown): HsmErrorName {
  return error instanceof HsmUnavailable ? 'UNAVAILABLE' : hsmResponseTo(error);
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
