import { ckr } from '../../pkcs11/ckr.js';
import type { Hsm } from '../hsm.js';
import type { QuorumValues, TokenInfo } from '../quorum/quorum.js';
import { hasService, type Service } from '../quorum/services.js';
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
export const setQuorumValue: Command<{ readonly service: Service; readonly value: number }, void> = {
  login: 'CO',
  run: async ({ hsm }, { service, value }, _cause, write) => {
    requireService(hsm, service);
    const officers = hsm.users.list().filter(({ role }) => role === 'CO').length;
    await write([hsm.quorum.change(service, value, officers)]);
  },
};

/** A token that COs approve, for one use of a service on this connection. CKR_ACTION_PROHIBITED, CKR_DEVICE_MEMORY. */
export const getToken: Command<
  { readonly service: Service },
  { readonly id: number; readonly record: Buffer }
> = {
  login: 'CO',
  run: (session, { service }) => {
    requireService(session.hsm, service);
    return session.hsm.quorum.create(service, session.user, session);
  },
};

/** Brings approvals of this connection's token: all are counted, or none. CKR_ARGUMENTS_BAD: nothing to approve.
 * CKR_SIGNATURE_INVALID: "Invalid username-signature pair for quorum authorization". */
export const approveToken: Command<
  {
    readonly approvalData: Buffer;
    readonly approvals: readonly { readonly name: string; readonly signature: Buffer }[];
  },
  void
> = {
  login: 'CO',
  run: (session, { approvalData, approvals }) => {
    const { users, quorum } = session.hsm;
    const known = approvals.map(({ name, signature }) => {
      const approver = users.find(name);
      const publicKey = users.publicKey(name);
      if (approver?.role !== 'CO' || publicKey === undefined)
        throw ckr('CKR_SIGNATURE_INVALID', 'Invalid username-signature pair for quorum authorization');
      return { approver, publicKey, signature };
    });
    quorum.approve(session, approvalData, known);
  },
};

/** The tokens of all users. */
export const listTokens: Command<void, readonly TokenInfo[]> = {
  login: 'CO',
  run: ({ hsm }) => hsm.quorum.list(),
};

/** Deletes one's own tokens, or everybody's. */
export const deleteTokens: Command<{ readonly scope: 'user' | 'all' }, void> = {
  login: 'CO',
  run: ({ hsm, user }, { scope }) => hsm.quorum.delete(scope === 'all' ? undefined : user),
};
