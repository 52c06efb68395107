import type { HsmType } from '../../base/cluster-kind.js';
import type { HsmObject } from '../../objects/hsm-object.js';
import { QUORUM_MIN } from '../../objects/key-quorum.js';
import type { CommandName, RequestOf } from '../commands/index.js';
import { type KeyUse, keyUseRows } from '../commands/key-use.js';
import type { HsmSession } from '../hsm-session.js';
import { canonicalName } from '../user-rules.js';

/** THE row per service of COs that a quorum may guard (reference management-tools, sections 4.5 and 6.7): its number in tokens. */
export const adminServices = {
  /** "USER_MGMT": creating and deleting users, changing another user's password or second factor. */
  user: 3,
  /** "MISC_CO": changing a quorum value. */
  quorum: 4,
  /** Mutual TLS; the number is ours [guess]. */
  cluster: 7,
} as const;

/** THE row per service of CUs for a key: its number in tokens, and which of the key's two values says how many must approve. That
 * key-management is 6 is a guess: both came together in the firmware that CloudHSM's descends from. */
const keyServiceRows = {
  'key-usage': { number: 5, value: 'use' },
  'key-management': { number: 6, value: 'manage' },
} as const;

export type AdminService = keyof typeof adminServices;
export type KeyService = keyof typeof keyServiceRows;
export type Service = AdminService | KeyService;

export const adminServiceNames = Object.keys(adminServices) as readonly AdminService[];
export const keyServiceNames = Object.keys(keyServiceRows) as readonly KeyService[];
export const serviceNames: readonly Service[] = [...adminServiceNames, ...keyServiceNames];

export const isKeyService = (service: Service): service is KeyService =>
  Object.hasOwn(keyServiceRows, service);

export const serviceNumber = (service: Service): number =>
  isKeyService(service) ? keyServiceRows[service].number : adminServices[service];

export const serviceByNumber = (number: number): Service | undefined =>
  serviceNames.find((service) => serviceNumber(service) === number);

/** How many must approve what a service does with a key; less than two: nobody. */
export const approvalsFor = ({ quorum }: HsmObject, service: KeyService): number =>
  quorum?.[keyServiceRows[service].value] ?? 0;

/** A token that a command takes. */
export type Need =
  | { readonly service: AdminService; readonly orMoreFor?: AdminService }
  | { readonly service: KeyService; readonly key: HsmObject };

/** "`cluster` on hsm2m" (section 6.2): whether HSMs of a type have the service. */
export const hasService = (hsmType: HsmType, service: Service): boolean =>
  service !== 'cluster' || hsmType === 'hsm2m.medium';

type Guard<Request> = (session: HsmSession, request: Request) => readonly Need[] | undefined;

const userNeed: readonly Need[] = [{ service: 'user' }];
const clusterNeed: readonly Need[] = [{ service: 'cluster' }];

const ofOthers: Guard<{ readonly name: string }> = ({ user }, { name }) =>
  canonicalName(name) === user.name ? undefined : userNeed;

/** Looked at for each use of a key, nearly always of one without a quorum. Session keys have none: nobody shares them. */
function needOf(session: HsmSession, service: KeyService, handle: number): Need | undefined {
  const key =
    session.user.role === 'CU' ? session.visible(handle)?.object : session.hsm.objects.get(handle)?.object;
  return key?.quorum !== undefined && approvalsFor(key, service) >= QUORUM_MIN ? { service, key } : undefined;
}

function using(session: HsmSession, use: KeyUse, handle: number): readonly Need[] | undefined {
  const need = needOf(session, keyUseRows[use].service, handle);
  return need && [need];
}

const used =
  (use: KeyUse): Guard<{ readonly handle: number }> =>
  (session, { handle }) =>
    using(session, use, handle);

const managed: Guard<{ readonly handle: number }> = (session, { handle }) => {
  const need = needOf(session, 'key-management', handle);
  return need && [need];
};

/** The two keys of a wrapping, each with a token of its own: "--wrapping-approval", "--payload-approval". */
const wrapped: Guard<{ readonly wrappingKey: number; readonly handle: number }> = (session, request) => {
  const wrapping = using(session, 'wrap', request.wrappingKey);
  if (request.handle === request.wrappingKey) return wrapping;
  const payload = managed(session, request);
  return wrapping && payload ? [...wrapping, ...payload] : (wrapping ?? payload);
};

/**
 * THE row per command that is guarded: the tokens it takes. Of a service of COs the highest of two values counts: "approvals must be
 * ≥ the current m". What of keys is guarded is said by the CLI's table of services and by its commands' `--approval` ("key wrap,
 * unwrap, share, unshare, set-attribute"; "sign"), which have none for deleting a key; that the other uses are guarded like signing
 * is key_mgmt_util's "any cryptographic operation that uses the key" (its -m_value). An admin who sets CKA_TRUSTED is no
 * exception [guess]. Without an approved token the answer is CKR_FUNCTION_REJECTED, the standard's closest for programs, which have
 * no way to bring one [guess].
 */
export const guards: { readonly [N in CommandName]?: Guard<RequestOf<N>> } = {
  createUser: () => userNeed,
  deleteUser: () => userNeed,
  insertMaskedUser: () => userNeed,
  changePassword: ofOthers,
  changeSecondFactor: ofOthers,
  registerTrustAnchor: () => clusterNeed,
  deregisterTrustAnchor: () => clusterNeed,
  setMtlsEnforcement: () => clusterNeed,
  setQuorumValue: (_session, { service }) => [{ service: 'quorum', orMoreFor: service }],
  describeKey: (session, { use, handle }) => using(session, use, handle),
  sign: used('sign'),
  verify: used('verify'),
  encrypt: used('encrypt'),
  decrypt: used('decrypt'),
  deriveKey: used('derive'),
  wrapHostKey: used('wrap'),
  unwrapHostKey: used('unwrap'),
  wrapKey: wrapped,
  unwrapKey: (session, { unwrappingKey }) => using(session, 'unwrap', unwrappingKey),
  setAttributes: managed,
  setKeyAttribute: managed,
  shareKey: managed,
  unshareKey: managed,
};

/** Looks whether there is a token, and leaves it to the command that comes next. */
export const onlyLooks: ReadonlySet<CommandName> = new Set<CommandName>(['describeKey']);
