import { fillList } from '../answer.js';
import type { Handlers } from '../handler.js';
import { slotInfo, tokenInfo } from '../identity.js';

/** Slot and token management (v2.40 base, 5.5). Users and tokens are managed with CloudHSM's own tools, so C_InitToken,
 * C_InitPIN and C_SetPIN have no handler. */
export const slotCalls = {
  C_GetSlotList: (application, { pSlotList }) => ({
    pSlotList: fillList(
      pSlotList,
      application.slots.map((slot) => slot.index),
    ),
  }),

  C_GetSlotInfo: (application, { slotID }) => ({
    pInfo: slotInfo(application.token(slotID).slot.cluster.settings.id),
  }),

  C_GetTokenInfo: (application, { slotID }) => {
    const token = application.token(slotID);
    const sessions = application.sessionsOf(token);
    const readWrite = sessions.filter((session) => session.readWrite).length;
    return {
      pInfo: tokenInfo(token.gate.permits('token-flags', 'C_GetTokenInfo'), token.slot.cluster.settings.id, {
        all: sessions.length,
        readWrite,
      }),
    };
  },

  C_GetMechanismList: (application, { slotID, pMechanismList }) => {
    const { mechanisms } = application.token(slotID).slot.cluster;
    return { pMechanismList: fillList(pMechanismList, mechanisms.list) };
  },

  C_GetMechanismInfo: (application, { slotID, type }) => ({
    pInfo: application.token(slotID).slot.cluster.mechanisms.info(type),
  }),
} satisfies Handlers;
