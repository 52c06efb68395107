import { ckr } from '../../pkcs11/ckr.js';
import type { Hsm } from '../hsm.js';
import type { EnforcementLevel, MutualTls, TrustAnchor } from '../mutual-tls.js';
import { ADMIN_ID } from '../user-records.js';
import type { Command } from './command.js';

/** "hsm2m only" (reference management-tools, section 6.2). Throws CKR_FUNCTION_NOT_SUPPORTED. */
function mutualTlsOf({ settings, mutualTls }: Hsm): MutualTls {
  if (settings.hsmType !== 'hsm2m.medium')
    throw ckr('CKR_FUNCTION_NOT_SUPPORTED', `mutual TLS is of hsm2m.medium, not of ${settings.hsmType}`);
  return mutualTls;
}

/** Registers an authority whose clients come by mutual TLS. CKR_ARGUMENTS_BAD, CKR_DEVICE_MEMORY. */
export const registerTrustAnchor: Command<{ readonly certificate: string }, TrustAnchor> = {
  login: 'CO',
  run: ({ hsm }, { certificate }, _cause, write) => mutualTlsOf(hsm).register(certificate, write),
};

/** "All users": no login. */
export const listTrustAnchors: Command<void, readonly TrustAnchor[]> = {
  login: 'none',
  run: ({ hsm }) => mutualTlsOf(hsm).anchors,
};

/** CKR_ARGUMENTS_BAD, CKR_ACTION_PROHIBITED. */
export const deregisterTrustAnchor: Command<{ readonly reference: number }, void> = {
  login: 'CO',
  run: async (session, { reference }, _cause, write) => {
    const { hsm } = session;
    await mutualTlsOf(hsm).deregister(reference, write);
    hsm.dropUnadmitted(session);
  },
};

/** "User `admin`, connected by mTLS": CKR_ACTION_PROHIBITED for others. From then on nobody else connects, and who is
 * connected otherwise is no longer. */
export const setMtlsEnforcement: Command<{ readonly level: EnforcementLevel }, void> = {
  login: 'CO',
  run: async (session, { level }, _cause, write) => {
    const { hsm, user, presented } = session;
    const mutualTls = mutualTlsOf(hsm);
    if (user.id !== ADMIN_ID)
      throw ckr('CKR_ACTION_PROHIBITED', 'only the user admin sets the mTLS enforcement level');
    if (!mutualTls.isOfAnchor(presented))
      throw ckr(
        'CKR_ACTION_PROHIBITED',
        'the connection is none of mutual TLS: register a trust anchor, and connect with a certificate of it',
      );
    await mutualTls.enforce(level, write);
    hsm.dropUnadmitted(session);
  },
};

export const getMtlsEnforcement: Command<void, { readonly level: EnforcementLevel }> = {
  login: 'any',
  run: ({ hsm }) => ({ level: mutualTlsOf(hsm).level }),
};
