import type { HsmType } from '../../base/cluster-kind.js';
import type { CommandName, RequestOf } from '../commands/index.js';
import type { HsmSession } from '../hsm-session.js';
import { canonicalName } from '../user-rules.js';

/** THE row per service that a quorum may guard (reference management-tools, sections 4.5 and 6.7): its number in tokens. */
export const services = {
  /** "USER_MGMT": creating and deleting users, changing another user's password or second factor. */
  user: 3,
  /** "MISC_CO": changing a quorum value. */
  quorum: 4,
  /** Mutual TLS; the number is ours [guess]. */
  cluster: 7,
} as const;

export type Service = keyof typeof services;
export const serviceNames = Object.keys(services) as readonly Service[];

/** "`cluster` on hsm2m" (section 6.2): whether HSMs of a type have the service. */
export const hasService = (hsmType: HsmType, service: Service): boolean =>
  service !== 'cluster' || hsmType === 'hsm2m.medium';

type Guard<Request> = (session: HsmSession, request: Request) => readonly [Service, ...Service[]] | undefined;

const ofOthers: Guard<{ readonly name: string }> = ({ user }, { name }) =>
  canonicalName(name) === user.name ? undefined : ['user'];

/** THE row per command that is guarded: the service whose token it takes. The highest of the services' values is how many must
 * approve: "approvals must be ≥ the current m". */
export const guards: { readonly [N in CommandName]?: Guard<RequestOf<N>> } = {
  createUser: () => ['user'],
  deleteUser: () => ['user'],
  insertMaskedUser: () => ['user'],
  changePassword: ofOthers,
  changeSecondFactor: ofOthers,
  registerTrustAnchor: () => ['cluster'],
  deregisterTrustAnchor: () => ['cluster'],
  setMtlsEnforcement: () => ['cluster'],
  setQuorumValue: (_session, { service }) => ['quorum', service],
};
