import { ckr } from '../../pkcs11/ckr.js';
import { CKF } from '../../pkcs11/constants.js';
import type { Handlers } from '../handler.js';
import { libraryInfo } from '../identity.js';

/** General-purpose functions (v2.40 base, 5.4), those about functions in parallel (5.14), and slot events (5.5). */
export const generalCalls = {
  C_GetInfo: () => ({ pInfo: libraryInfo }),

  C_Finalize: (application) => application.close(),

  C_GetFunctionStatus: () => {
    throw ckr('CKR_FUNCTION_NOT_PARALLEL', 'no function runs in parallel');
  },

  C_CancelFunction: () => {
    throw ckr('CKR_FUNCTION_NOT_PARALLEL', 'no function runs in parallel');
  },

  // HSMs never come or go as slots do, so there is never an event: a caller that blocks waits for C_Finalize.
  C_WaitForSlotEvent: (application, { flags, pReserved }) => {
    application.token(0).gate.allow('wait-for-slot-event', 'C_WaitForSlotEvent', 'there are no slot events');
    if (pReserved) throw ckr('CKR_ARGUMENTS_BAD', 'pReserved must be NULL');
    if (flags & CKF.CKF_DONT_BLOCK) throw ckr('CKR_NO_EVENT', 'no slot has changed');
    return new Promise((_resolve, reject) => {
      application.onClose(() => reject(ckr('CKR_CRYPTOKI_NOT_INITIALIZED', 'C_Finalize ended the wait')));
    });
  },
} satisfies Handlers;
