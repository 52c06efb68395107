import { clusterModes, hsmTypes } from '../../base/cluster-kind.js';
import { limits } from '../../base/limits.js';
import { curves, messageAlgorithms } from '../../crypto/index.js';
import type { ReadResult } from '../../objects/reading.js';
import { travellingVersions } from '../../objects/record.js';
import {
  bytes,
  flag,
  list,
  mechanism,
  nothing,
  oneOf,
  optional,
  record,
  type Shape,
  template,
  text,
  u32,
  u64,
} from '../../wire/shapes.js';
import { fingerprint } from '../../wire/table-hash.js';
import { HASH_BYTES } from '../audit/block.js';
import { enforcementLevels, MOST_ANCHORS } from '../mutual-tls.js';
import { BUCKET_COUNT, BUCKET_DIGESTS_BYTES, OBJECT_DIGEST_BYTES } from '../object-versions.js';
import { adminServiceNames, serviceNames } from '../quorum/services.js';
import { TOKEN_BYTES } from '../quorum/token.js';
import { roles } from '../roles.js';
import { CHALLENGE_BYTES, REGISTRATION_TOKEN_BYTES, SIGNATURE_BYTES } from '../second-factor.js';
import { type AnswerOf, type CommandName, commands, type RequestOf } from './index.js';
import { keyUses } from './key-use.js';

/** How one HSM command travels, and what its client may do with it. */
export interface CommandForm<Request, Answer> {
  readonly request: Shape<Request>;
  readonly answer: Shape<Answer>;
  /** An HSM that is lost while it works leaves nothing behind: the command may be given to another one. */
  readonly repeatable?: true;
  /** Any HSM that has the key can do it. The others need what the connection's own HSM has: its session keys. */
  readonly anywhere?: true;
  /** The object under the request's handle may be another one afterwards, or none. */
  readonly changes?: true;
  /** Nothing keeps a view of the request: it is cleansed when it is answered. */
  readonly secret?: true;
}

/** A key's or a data's bytes, and what an operation adds to them. */
const data = bytes(limits.hsmFrameBytes);
const masked = bytes(limits.maskedObjectBytes);
const name = text(limits.nameBytes);
const attribute = record({ type: u64, value: bytes(limits.attributeBytes), nested: optional(template) });
const created = record({ handle: u64, masked: optional(masked), isKey: flag, destroyable: flag });
const onData = record({ handle: u64, mechanism, input: data });
const byHandle = record({ handle: u64 });
const shared = record({ handle: u64, user: name });

const label = text(limits.attributeBytes);
const holder = record({ id: u64, name });
const keyQuorum = record({ manage: u32, use: u32 });
const access = optional(record({ sharedWith: list(name, limits.usersPerHsm), quorum: optional(keyQuorum) }));

const role = oneOf(...roles);
const password = text(limits.pinBytes);
const whom = record({ name, role });
const signature = bytes(SIGNATURE_BYTES);
const publicKey = bytes(limits.publicKeyBytes);
const secondFactor = optional(record({ publicKey, signature }));
const whomAndPassword = record({ name, role, password, secondFactor });
const service = oneOf(...serviceNames);
const adminService = oneOf(...adminServiceNames);
const approvalData = bytes(TOKEN_BYTES * limits.hsmsPerCluster);
const userInfo = record({
  id: u64,
  name,
  role,
  wrongPasswords: u64,
  locked: flag,
  quorumKey: flag,
  secondFactor: flag,
});

const pemText = text(limits.trustAnchorBytes);
const trustAnchor = record({ reference: u32, certificate: pemText });

const notRead = oneOf('sensitive', 'unavailable');
const readResult: Shape<ReadResult> = {
  form: `value|${notRead.form}`,
  read: (reader) => (flag.read(reader) ? data.read(reader) : notRead.read(reader)),
  write: (writer, value) => {
    flag.write(writer, typeof value !== 'string');
    if (typeof value === 'string') notRead.write(writer, value);
    else data.write(writer, value);
  },
};

const keyShape = record({
  keyType: u64,
  bits: u64,
  token: flag,
  lasting: flag,
  curve: optional(oneOf(...curves.map((curve) => curve.name))),
  algorithm: optional(oneOf(...messageAlgorithms)),
});

/** THE row per HSM command, as it travels. Who may give it and what it does stands in its own file. */
export const forms: { readonly [N in CommandName]: CommandForm<RequestOf<N>, AnswerOf<N>> } = {
  login: {
    request: record({ name, role, password, signature: optional(signature) }),
    answer: nothing,
    secret: true,
  },
  logout: { request: nothing, answer: nothing },
  nextGeneration: { request: record({ name }), answer: record({ generation: u32 }) },
  createUser: {
    request: record({ name, role, password, secondFactor, generation: optional(u32) }),
    answer: record({ id: u64 }),
    secret: true,
  },
  deleteUser: { request: whom, answer: nothing },
  changePassword: { request: whomAndPassword, answer: nothing, secret: true },
  extractMaskedUser: { request: whom, answer: masked },
  insertMaskedUser: { request: record({ masked }), answer: nothing },
  listUsers: { request: nothing, answer: list(userInfo, limits.usersPerHsm) },
  getUserInfo: { request: record({ name }), answer: userInfo },
  getChallenge: { request: nothing, answer: bytes(CHALLENGE_BYTES) },
  changeSecondFactor: { request: record({ name, role, secondFactor }), answer: nothing },
  registerPublicKey: {
    request: record({ publicKey, signature, token: bytes(REGISTRATION_TOKEN_BYTES) }),
    answer: nothing,
  },
  getQuorumValues: { request: nothing, answer: record({ user: u32, quorum: u32, cluster: optional(u32) }) },
  setQuorumValue: { request: record({ service: adminService, value: u32 }), answer: nothing },
  getTokenTimeouts: { request: nothing, answer: record({ generated: u32, approved: u32 }) },
  setTokenTimeouts: {
    request: record({ generated: optional(u32), approved: optional(u32) }),
    answer: nothing,
  },
  getToken: {
    request: record({ service, handle: optional(u64) }),
    answer: record({ id: u32, record: bytes(TOKEN_BYTES) }),
  },
  approveToken: {
    request: record({
      approvalData,
      approvals: list(record({ name, signature }), limits.approvals),
    }),
    answer: nothing,
  },
  listTokens: {
    request: nothing,
    answer: list(
      record({
        id: u32,
        service,
        key: optional(u64),
        user: name,
        secondsLeft: u32,
        required: u32,
        approvers: list(name, limits.usersPerHsm),
      }),
      limits.quorumTokens,
    ),
  },
  deleteTokens: {
    request: record({ scope: oneOf('user', 'these', 'all'), approvalData: optional(approvalData) }),
    answer: nothing,
  },
  registerTrustAnchor: { request: record({ certificate: pemText }), answer: trustAnchor },
  listTrustAnchors: { request: nothing, answer: list(trustAnchor, MOST_ANCHORS) },
  deregisterTrustAnchor: { request: record({ reference: u32 }), answer: nothing },
  setMtlsEnforcement: { request: record({ level: oneOf(...enforcementLevels) }), answer: nothing },
  getMtlsEnforcement: { request: nothing, answer: record({ level: oneOf(...enforcementLevels) }) },
  generateRandom: {
    request: record({ lengthBytes: u64 }),
    answer: bytes(limits.randomBytes),
    repeatable: true,
    anywhere: true,
  },
  generateIv: { request: record({ lengthBytes: u64 }), answer: bytes(limits.ivBytes), repeatable: true },
  generateKey: { request: record({ mechanism: u64, template, access }), answer: created, repeatable: true },
  generateKeyPair: {
    request: record({ mechanism: u64, publicTemplate: template, privateTemplate: template, access }),
    answer: record({ publicKey: created, privateKey: created }),
    repeatable: true,
  },
  deriveKey: {
    request: record({ handle: u64, mechanism, template }),
    answer: created,
    repeatable: true,
  },
  createObject: { request: record({ template }), answer: created, repeatable: true },
  copyObject: { request: record({ handle: u64, template }), answer: created, repeatable: true },
  insertMaskedObject: { request: record({ masked }), answer: nothing },
  copyMaskedObject: { request: record({ masked }), answer: created, repeatable: true },
  withdrawObject: { request: byHandle, answer: nothing, changes: true },
  setAttributes: { request: record({ handle: u64, template }), answer: nothing, changes: true },
  setKeyAttribute: { request: record({ handle: u64, attribute }), answer: optional(created), changes: true },
  shareKey: { request: shared, answer: nothing, changes: true },
  unshareKey: { request: shared, answer: nothing, changes: true },
  destroyObject: { request: byHandle, answer: nothing, changes: true },
  endSessionObject: { request: byHandle, answer: nothing, changes: true },
  locateObject: { request: byHandle, answer: record({ token: flag }), repeatable: true },
  getAttributes: {
    request: record({ handle: u64, types: list(u64, limits.templateAttributes) }),
    answer: list(readResult, limits.templateAttributes),
    repeatable: true,
    anywhere: true,
  },
  findObjects: { request: record({ template }), answer: list(u64, limits.foundObjects), repeatable: true },
  describeKey: {
    request: record({
      handle: u64,
      use: oneOf(...keyUses),
      mechanism: u64,
      keyTypes: list(u64, limits.keyTypes),
    }),
    answer: keyShape,
    repeatable: true,
    anywhere: true,
  },
  getKeyInfo: {
    request: byHandle,
    answer: record({
      owner: holder,
      sharedWith: list(holder, limits.usersPerHsm),
      token: flag,
      label,
      materialBytes: u32,
      quorum: keyQuorum,
    }),
    repeatable: true,
  },
  findAllKeys: {
    request: record({ user: optional(name), template }),
    answer: list(record({ handle: u64, shared: flag, label }), limits.foundObjects),
    repeatable: true,
  },
  getKeysHash: { request: nothing, answer: bytes(HASH_BYTES) },
  getHsmInfo: {
    request: nothing,
    answer: record({ serialNumber: name, hsmType: oneOf(...hsmTypes), mode: oneOf(...clusterModes) }),
    repeatable: true,
  },
  getDeviceCertificates: {
    request: nothing,
    answer: record({ manufacturerRoot: pemText, manufacturerHardware: pemText, hsm: pemText }),
    repeatable: true,
  },
  sign: { request: onData, answer: data, repeatable: true, anywhere: true, secret: true },
  verify: {
    request: record({ handle: u64, mechanism, input: data, signature: data }),
    answer: flag,
    repeatable: true,
    anywhere: true,
    secret: true,
  },
  encrypt: { request: onData, answer: data, repeatable: true, anywhere: true, secret: true },
  decrypt: { request: onData, answer: data, repeatable: true, anywhere: true, secret: true },
  objectDigests: { request: nothing, answer: bytes(BUCKET_DIGESTS_BYTES) },
  objectVersions: {
    request: record({ buckets: list(u32, BUCKET_COUNT) }),
    answer: list(
      record({ handle: u64, version: u32, digest: bytes(OBJECT_DIGEST_BYTES) }),
      limits.foundObjects,
    ),
  },
  extractMaskedObject: { request: byHandle, answer: masked },
  synchronize: { request: nothing, answer: nothing },
  wrapHostKey: { request: onData, answer: data, repeatable: true, secret: true },
  unwrapHostKey: { request: onData, answer: data, repeatable: true },
  wrapKey: {
    request: record({ wrappingKey: u64, handle: u64, mechanism, roomBytes: u64 }),
    answer: record({ lengthBytes: u64, wrapped: optional(data), iv: optional(bytes(limits.ivBytes)) }),
    // Not anywhere: one of the two keys may be a session key.
    repeatable: true,
  },
  unwrapKey: {
    request: record({ unwrappingKey: u64, mechanism, wrapped: data, template, access }),
    answer: created,
    repeatable: true,
  },
};

/** Commands by their numbers on the wire. */
export const commandNames = Object.keys(forms) as readonly CommandName[];

/** The number of each. */
export const commandNumbers: ReadonlyMap<CommandName, number> = new Map(
  commandNames.map((name, number) => [name, number]),
);

/** What a client and an HSM, or two HSMs, must agree on to understand each other. */
export const formsHash: bigint = fingerprint(
  JSON.stringify([
    travellingVersions,
    commandNames.map((command) => [
      command,
      commands[command].login,
      forms[command].request.form,
      forms[command].answer.form,
    ]),
  ]),
);
