import { keyWrapMechanisms } from '../../mechanisms/key-wrap.js';
import { isTokenObject } from '../../objects/hsm-object.js';
import { kindOfTemplate } from '../../objects/template-validator.js';
import { CKK } from '../../pkcs11/constants.js';
import type { Mechanism } from '../../pkcs11/layouts.js';
import type { Template } from '../../pkcs11/template.js';
import type { Created } from '../commands/create.js';
import type { AnswerOf, CommandName, RequestOf } from '../commands/index.js';
import type { HsmSession } from '../hsm-session.js';
import { type AuditDetails, aboutKey, aboutUser, minimal } from './entry.js';
import type { Opcode } from './opcodes.js';

/** How a command is logged. */
export interface AuditRow<Request, Answer> {
  /** What is logged if the command fails, and if it succeeds and `after` says nothing else. Asked before the command runs; undefined:
   * this one is not logged. */
  before(session: HsmSession, request: Request): AuditDetails | undefined;
  after?(answer: Answer, request: Request): readonly AuditDetails[];
  /** What the command does without a write, such as to session keys, is gone when the HSM is: so may be the last records of
   * it. What it writes has its record in that write. */
  readonly lazy?: true;
}

/** Keys between HSMs (reference management-tools, section 7.1): the HSM that makes a token key gives it away at once. */
function made(opcode: Opcode, { handle, masked }: Created): AuditDetails[] {
  const given = masked === undefined ? [] : [aboutKey('CN_EXTRACT_MASKED_OBJECT_USER', handle)];
  return [aboutKey(opcode, handle), ...given];
}

const making = <Request>(opcode: Opcode): AuditRow<Request, Created> => ({
  before: () => aboutKey(opcode, 0),
  after: (created) => made(opcode, created),
  lazy: true,
});

/** Certificates are in another log than the HSM's. */
const isCertificate = (session: HsmSession, handle: number): boolean =>
  session.visible(handle)?.kind === 'certificate';

function isCertificateTemplate(template: Template): boolean {
  try {
    return kindOfTemplate(template) === 'certificate';
  } catch {
    return false;
  }
}

const modifying = {
  before: (session: HsmSession, { handle }: { handle: number }) =>
    session.user.role === 'CU' && isCertificate(session, handle)
      ? undefined
      : aboutKey('CN_MODIFY_OBJECT', handle),
  lazy: true,
} as const;

/** "exSymKey = WRAP_KEY(key) + NIST_AES_WRAP(wrapping key); imSymKey = NIST_AES_WRAP + UNWRAP_KEY": both wrap with AES. What is
 * logged of other mechanisms nobody says: that a key was wrapped or unwrapped [guess]. */
const aesWrap = ({ type }: Mechanism, key: number): AuditDetails[] =>
  keyWrapMechanisms.some((row) => row.type === type && row.wrap?.keyTypes.includes(CKK.CKK_AES))
    ? [aboutKey('CN_NIST_AES_WRAP', key)]
    : [];

const sharing = {
  before: (_session: HsmSession, { handle }: { handle: number }): AuditDetails => ({
    ...aboutKey('CN_SHARE_OBJECT', handle),
    logType: 'UNKNOWN_LOG_TYPE',
  }),
};

/**
 * THE row per command that CloudHSM logs (reference management-tools, section 8.1). What has no row is not logged: "no data-plane
 * opcodes (sign, encrypt, digest)", nothing that only reads, and nothing that the service does to keep HSMs alike.
 */
export const auditRows: { readonly [N in CommandName]?: AuditRow<RequestOf<N>, AnswerOf<N>> } = {
  // "not for AU"
  login: {
    before: (_session, request) => (request.role === 'AU' ? undefined : aboutUser('CN_LOGIN', request)),
  },
  logout: {
    before: (session) =>
      session.loggedIn && session.user.role !== 'AU' ? aboutUser('CN_LOGOUT', session.user) : undefined,
    lazy: true,
  },
  createUser: {
    before: (_session, request) =>
      aboutUser(request.role === 'CO' ? 'CN_CREATE_CO' : 'CN_CREATE_USER', request),
  },
  deleteUser: { before: (_session, request) => aboutUser('CN_DELETE_USER', request) },
  changePassword: { before: (_session, request) => aboutUser('CN_CHANGE_PSWD', request) },
  extractMaskedUser: { before: (_session, request) => aboutUser('CN_EXTRACT_MASKED_OBJECT_USER', request) },
  insertMaskedUser: { before: () => minimal('CN_INSERT_MASKED_OBJECT_USER') },
  changeSecondFactor: { before: (_session, request) => aboutUser('CN_REGISTER_MOFN_PUB_KEY', request) },
  registerPublicKey: { before: ({ user }) => aboutUser('CN_REGISTER_MOFN_PUB_KEY', user) },
  setQuorumValue: { before: () => minimal('CN_SET_M_VALUE') },
  // Names of ours: what CloudHSM logs these as, and whether it does, nobody says.
  setTokenTimeouts: { before: () => minimal('CN_SET_TOKEN_TIMEOUT') },
  registerTrustAnchor: { before: () => minimal('CN_CERT_AUTH_STORE_CERT') },
  deregisterTrustAnchor: { before: () => minimal('CN_CERT_AUTH_REMOVE_CERT') },
  setMtlsEnforcement: { before: () => minimal('CN_SET_MTLS_ENFORCEMENT') },
  getToken: { before: () => minimal('CN_GET_TOKEN'), lazy: true },
  approveToken: { before: () => minimal('CN_APPROVE_TOKEN'), lazy: true },
  deleteTokens: { before: () => minimal('CN_DELETE_TOKEN'), lazy: true },
  generateKey: making('CN_GENERATE_KEY'),
  generateKeyPair: {
    before: () => aboutKey('CN_GENERATE_KEY_PAIR', 0),
    after: ({ privateKey, publicKey }) => [
      aboutKey('CN_GENERATE_KEY_PAIR', privateKey.handle, publicKey.handle),
      ...[privateKey, publicKey].flatMap((half) => made('CN_GENERATE_KEY_PAIR', half).slice(1)),
    ],
    lazy: true,
  },
  deriveKey: making('CN_DERIVE_KEY'),
  createObject: {
    ...making('CN_CREATE_OBJECT'),
    before: (_session, { template }) =>
      isCertificateTemplate(template) ? undefined : aboutKey('CN_CREATE_OBJECT', 0),
  },
  copyObject: {
    ...making('CN_CREATE_OBJECT'),
    before: (session, { handle }) =>
      isCertificate(session, handle) ? undefined : aboutKey('CN_CREATE_OBJECT', 0),
  },
  wrapKey: {
    before: (_session, { handle }) => aboutKey('CN_WRAP_KEY', handle),
    // A length was asked for: the key went nowhere. Where it went out, the record is durable first.
    after: ({ wrapped }, { handle, mechanism, wrappingKey }) =>
      wrapped === undefined ? [] : [aboutKey('CN_WRAP_KEY', handle), ...aesWrap(mechanism, wrappingKey)],
  },
  unwrapKey: {
    before: () => aboutKey('CN_UNWRAP_KEY', 0),
    after: (created, { mechanism, unwrappingKey }) => [
      ...aesWrap(mechanism, unwrappingKey),
      ...made('CN_UNWRAP_KEY', created),
    ],
    lazy: true,
  },
  insertMaskedObject: {
    // Server-side synchronisation: "not in audit logs".
    before: (session) =>
      session.user.role === 'AU' ? undefined : aboutKey('CN_INSERT_MASKED_OBJECT_USER', 0),
    after: () => [],
  },
  copyMaskedObject: making('CN_INSERT_MASKED_OBJECT_USER'),
  wrapHostKey: { before: (_session, { handle }) => aboutKey('CN_NIST_AES_WRAP', handle), lazy: true },
  unwrapHostKey: { before: (_session, { handle }) => aboutKey('CN_NIST_AES_WRAP', handle), lazy: true },
  extractMaskedObject: {
    before: (session, { handle }) =>
      session.user.role === 'AU' ? undefined : aboutKey('CN_EXTRACT_MASKED_OBJECT_USER', handle),
  },
  withdrawObject: { before: (_session, { handle }) => aboutKey('CN_TOMBSTONE_OBJECT', handle) },
  setAttributes: modifying,
  setKeyAttribute: modifying,
  shareKey: sharing,
  unshareKey: sharing,
  // A token key is marked as deleted, a session key is.
  destroyObject: {
    before: (session, { handle }) => {
      const loaded = session.visible(handle);
      if (loaded?.kind === 'certificate') return undefined;
      const isToken = loaded !== undefined && isTokenObject(loaded.visible);
      return aboutKey(isToken ? 'CN_TOMBSTONE_OBJECT' : 'CN_DESTROY_OBJECT', handle);
    },
    lazy: true,
  },
};
