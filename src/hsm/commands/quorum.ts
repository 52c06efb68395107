import { ckr } from '../../pkcs11/ckr.js';
import { maySee } from '../access.js';
import type { Hsm } from '../hsm.js';
import type { HsmSession } from '../hsm-session.js';
import type { Approval, QuorumValues, TokenInfo, TokenState, TokenTimeouts } from '../quorum/quorum.js';
import { type AdminService, hasService, isKeyService, type Need, type Service } from '../quorum/services.js';
import type { Command } from './command.js';

/** How many COs must approve what a service guards: no login. */
export const getQuorumValues: Command<void, Omit<QuorumValues, 'cluster'> & { cluster: number | undefined }> =
  {
    login: 'none',
    run: ({ hsm: { quorum, settings } }) => {
      const { cluster, ...others } = quorum.values;
      return { ...others, cluster: hasService(settings.hsmType, 'cluster') ? cluster : undefined };
    },
  };

/** Throws CKR_ARGUMENTS_BAD for a service that HSMs of the type do not have. */
function requireService({ settings }: Hsm, service: Service): void {
  if (!hasService(settings.hsmType, service))
    throw ckr('CKR_ARGUMENTS_BAD', `HSMs of type ${settings.hsmType} have no service ${service}`);
}

/** Sets it, "any CO, registered or not". Durable when answered. CKR_ARGUMENTS_BAD. */
export const setQuorumValue: Command<{ readonly service: AdminService; readonly value: number }, void> = {
  login: 'CO',
  run: async ({ hsm }, { service, value }, _cause, write) => {
    requireService(hsm, service);
    const officers = hsm.users.list().filter(({ role }) => role === 'CO').length;
    await write([hsm.quorum.change(service, value, officers)]);
  },
};

/** "All users. You do not need to be logged in" (the guide's page of quorum token-sign list-timeouts). */
export const getTokenTimeouts: Command<void, TokenTimeouts> = {
  login: 'none',
  run: ({ hsm: { quorum } }) => quorum.timeouts,
};

/** Sets one of them or both. Durable when answered. CKR_ARGUMENTS_BAD. */
export const setTokenTimeouts: Command<
  { readonly [State in TokenState]?: TokenTimeouts[State] | undefined },
  void
> = {
  login: 'CO',
  run: async ({ hsm }, { generated, approved }, _cause, write) => {
    if (generated === undefined && approved === undefined)
      throw ckr('CKR_ARGUMENTS_BAD', 'say which timeout: of generated tokens, or of approved ones');
    await write([
      hsm.quorum.changeTimeouts({
        ...(generated !== undefined && { generated }),
        ...(approved !== undefined && { approved }),
      }),
    ]);
  },
};

interface TokenRequest {
  readonly service: Service;
  /** The key: of services for keys. */
  readonly handle?: number | undefined;
}

function needFor(session: HsmSession, { service, handle }: TokenRequest): Need {
  const { role } = session.user;
  requireService(session.hsm, service);
  if (!isKeyService(service)) {
    if (role !== 'CO') throw ckr('CKR_ACTION_PROHIBITED', `tokens for service ${service} are for COs`);
    return { service };
  }
  if (handle === undefined) throw ckr('CKR_ARGUMENTS_BAD', `a token for ${service} is for one key: which?`);
  // An admin sets CKA_TRUSTED, and does nothing else with keys.
  if (role === 'CO' && service === 'key-usage')
    throw ckr('CKR_ACTION_PROHIBITED', `tokens for ${service} are for crypto users`);
  const { object } = role === 'CO' ? session.anyTokenKey(handle) : session.key(handle);
  return { service, key: object };
}

/** A token that others approve, for one use of a service on this connection. CKR_ACTION_PROHIBITED, CKR_KEY_HANDLE_INVALID,
 * CKR_ARGUMENTS_BAD, CKR_DEVICE_MEMORY. */
export const getToken: Command<TokenRequest, { readonly id: number; readonly record: Buffer }> = {
  login: 'quorum',
  run: (session, request) => session.hsm.quorum.create(needFor(session, request), session.user, session),
};

/** Brings approvals of this connection's token: all are counted, or none. CKR_ARGUMENTS_BAD: nothing to approve.
 * CKR_SIGNATURE_INVALID: "Invalid username-signature pair for quorum authorization". */
export const approveToken: Command<
  { readonly approvalData: Buffer; readonly approvals: readonly Approval[] },
  void
> = {
  login: 'quorum',
  run: (session, { approvalData, approvals }) => session.hsm.quorum.approve(session, approvalData, approvals),
};

/** The tokens of all users; of those for keys a CU sees the ones for keys that it sees [guess]. */
export const listTokens: Command<void, readonly TokenInfo[]> = {
  login: 'quorum',
  run: ({ hsm, user }) =>
    hsm.quorum.list().filter(({ key }) => {
      const object = key === undefined ? undefined : hsm.objects.get(key)?.object;
      return object === undefined || user.role === 'CO' || maySee(user, object);
    }),
};

/** Deletes one's own tokens, those of this connection that are among some of all HSMs', or, as a CO, everybody's.
 * CKR_ACTION_PROHIBITED. */
export const deleteTokens: Command<
  { readonly scope: 'user' | 'these' | 'all'; readonly approvalData?: Buffer | undefined },
  void
> = {
  login: 'quorum',
  run: (session, { scope, approvalData = Buffer.alloc(0) }) => {
    const { hsm, user } = session;
    if (scope === 'these') return hsm.quorum.deleteAmong(approvalData, session);
    if (scope === 'all' && user.role !== 'CO')
      throw ckr('CKR_ACTION_PROHIBITED', 'only a CO deletes the tokens of all users');
    hsm.quorum.delete(scope === 'all' ? undefined : user);
  },
};
