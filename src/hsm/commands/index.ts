import { copyObject, setAttributes, setKeyAttribute } from './change.js';
import type { Command } from './command.js';
import { copyMaskedObject, createObject, generateKey, generateKeyPair } from './create.js';
import { deriveKey } from './derive.js';
import { decrypt, encrypt } from './encrypt.js';
import { unwrapHostKey, wrapHostKey } from './host-keys.js';
import { getDeviceCertificates, getHsmInfo } from './hsm-info.js';
import { findAllKeys, getKeyInfo, getKeysHash } from './key-info.js';
import { describeKey } from './key-use.js';
import { login, logout } from './login.js';
import { extractMaskedUser, insertMaskedUser } from './masked-users.js';
import {
  deregisterTrustAnchor,
  getMtlsEnforcement,
  listTrustAnchors,
  registerTrustAnchor,
  setMtlsEnforcement,
} from './mutual-tls.js';
import {
  destroyObject,
  endSessionObject,
  findObjects,
  getAttributes,
  insertMaskedObject,
  locateObject,
  withdrawObject,
} from './objects.js';
import {
  approveToken,
  deleteTokens,
  getQuorumValues,
  getToken,
  getTokenTimeouts,
  listTokens,
  setQuorumValue,
  setTokenTimeouts,
} from './quorum.js';
import { generateIv, generateRandom } from './random.js';
import { changeSecondFactor, getChallenge, registerPublicKey } from './second-factor.js';
import { shareKey, unshareKey } from './share.js';
import { sign, verify } from './sign.js';
import { extractMaskedObject, objectDigests, objectVersions, synchronize } from './synchronize.js';
import { changePassword, createUser, deleteUser, getUserInfo, listUsers, nextGeneration } from './users.js';
import { unwrapKey, wrapKey } from './wrap.js';

/** THE row per HSM command. */
export const commands = {
  login,
  logout,
  nextGeneration,
  createUser,
  deleteUser,
  changePassword,
  extractMaskedUser,
  insertMaskedUser,
  listUsers,
  getUserInfo,
  getChallenge,
  changeSecondFactor,
  registerPublicKey,
  getQuorumValues,
  setQuorumValue,
  getTokenTimeouts,
  setTokenTimeouts,
  getToken,
  approveToken,
  listTokens,
  deleteTokens,
  registerTrustAnchor,
  listTrustAnchors,
  deregisterTrustAnchor,
  setMtlsEnforcement,
  getMtlsEnforcement,
  generateRandom,
  generateIv,
  generateKey,
  generateKeyPair,
  deriveKey,
  createObject,
  copyObject,
  insertMaskedObject,
  copyMaskedObject,
  withdrawObject,
  setAttributes,
  setKeyAttribute,
  shareKey,
  unshareKey,
  destroyObject,
  endSessionObject,
  locateObject,
  getAttributes,
  findObjects,
  describeKey,
  getKeyInfo,
  findAllKeys,
  getKeysHash,
  getHsmInfo,
  getDeviceCertificates,
  sign,
  verify,
  encrypt,
  decrypt,
  objectDigests,
  objectVersions,
  extractMaskedObject,
  synchronize,
  wrapKey,
  wrapHostKey,
  unwrapHostKey,
  unwrapKey,
} as const;

export type CommandName = keyof typeof commands;
export type RequestOf<N extends CommandName> =
  (typeof commands)[N] extends Command<infer Request, unknown> ? Request : never;
export type AnswerOf<N extends CommandName> =
  (typeof commands)[N] extends Command<never, infer Answer> ? Answer : never;
export type AnyCommand = Command<never, unknown>;
