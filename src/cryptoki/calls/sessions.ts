import { limits } from '../../base/limits.js';
import { ckr } from '../../pkcs11/ckr.js';
import { CKF, CKU } from '../../pkcs11/constants.js';
import type { Handlers } from '../handler.js';

/** A PIN is `user:password`, split at the first colon. Throws CKR_PIN_INCORRECT, which tells nothing of the reason. */
function parsePin(pin: Buffer): { name: string; password: string } {
  const text = pin.length <= limits.pinBytes ? pin.toString('utf8') : '';
  const colon = text.indexOf(':');
  if (colon < 1) throw ckr('CKR_PIN_INCORRECT', 'the PIN is not of the form user:password');
  return { name: text.slice(0, colon), password: text.slice(colon + 1) };
}

// The real library's words: reference section 5, and issue 342 of pkcs11-provider.
const READ_ONLY_REFUSAL =
  'IE000: Failed to open provider session: ReadOnly cannot be created by Hsm1 provider';
const CALLBACK_REFUSAL =
  'BP000: Notify callback function is not supported, please pass in NULL_PTR for both pApplication and Notify';

/** Session management (v2.40 base, 5.6). */
export const sessionCalls = {
  C_OpenSession: (application, { slotID, flags, pApplication, Notify }) => {
    const { gate } = application.token(slotID);
    // It was seen for a session that was read-only as well. Where they are allowed they are never used: nothing happens that an
    // HSM could notify about.
    if (pApplication || Notify) gate.allow('session-callback', 'C_OpenSession', CALLBACK_REFUSAL);
    if (!(flags & CKF.CKF_SERIAL_SESSION)) {
      throw ckr('CKR_SESSION_PARALLEL_NOT_SUPPORTED', 'CKF_SERIAL_SESSION must be set');
    }
    const readWrite = (flags & CKF.CKF_RW_SESSION) !== 0;
    if (!readWrite) gate.allow('read-only-session', 'C_OpenSession', READ_ONLY_REFUSAL);
    return { phSession: application.openSession(slotID, readWrite).handle };
  },

  C_CloseSession: (session, _input, application) => application.closeSession(session),

  C_CloseAllSessions: async (application, { slotID }) => {
    for (const session of application.sessionsOf(application.token(slotID)))
      await application.closeSession(session);
  },

  C_GetSessionInfo: (session) => ({
    pInfo: {
      slotID: session.token.slot.index,
      state: session.state,
      flags: CKF.CKF_SERIAL_SESSION | (session.readWrite ? CKF.CKF_RW_SESSION : 0),
      ulDeviceError: 0,
    },
  }),

  C_Login: (session, { userType, pPin }, application) => {
    if (userType !== CKU.CKU_USER) {
      throw ckr(
        'CKR_USER_TYPE_INVALID',
        `user type ${userType}: only crypto users (CKU_USER) log in through PKCS#11`,
      );
    }
    session.token.requireNoLogin();
    const { name, password } = parsePin(pPin);
    return application.login(session, name, password);
  },

  C_Logout: (session, _input, application) => application.logout(session.token),
} satisfies Handlers;
