import { mechanismFlags } from '../../mechanisms/mechanism.js';
import { mechanismList, mechanismRow } from '../../mechanisms/registry.js';
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
    application.token(slotID);
    return { pMechanismList: fillList(pMechanismList, mechanismList()) };
  },

  C_GetMechanismInfo: (application, { slotID, type }) => {
    const { mode } = application.token(slotID).slot.cluster.settings;
    const row = mechanismRow(type);
    return {
      pInfo: { ulMinKeySize: row.minKeySize, ulMaxKeySize: row.maxKeySize, flags: mechanismFlags(row, mode) },
    };
  },
} satisfies Handlers;
