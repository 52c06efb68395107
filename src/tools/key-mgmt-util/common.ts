import { describeError } from '../../base/errors.js';
import { pkcs8OfPem } from '../../crypto/index.js';
import type { KeyAccess } from '../../hsm/key-access.js';
import { QUORUM_MAX } from '../../objects/key-quorum.js';
import { CKA } from '../../pkcs11/attributes.js';
import { CKK, CKO } from '../../pkcs11/constants.js';
import { attribute, type Template } from '../../pkcs11/template.js';
import { refused } from '../failure.js';
import { readGivenFile } from '../sdk3/files.js';
import type { FlagRow, Given } from './command.js';
import type { KeySession } from './session.js';

/*
 * What commands that make keys have in common (reference management-tools, section 5.2).
 */

export const common = {
  '-l': { kind: 'text', required: true, help: 'label of the key' },
  '-id': { kind: 'text', help: 'id of the key, which no other key has' },
  '-sess': { help: 'a session key, which ends with the login' },
  '-nex': { help: 'the key never leaves the HSM' },
  '-u': { kind: 'numbers', help: 'ids of users to share the key with' },
  '-m_value': {
    kind: 'number',
    help: `how many users must approve what is done with the key: 0 to ${QUORUM_MAX}, and as many have it`,
  },
  '-min_srv': { kind: 'number', help: 'on how many HSMs the key must be' },
  '-timeout': { kind: 'number', help: 'seconds to wait for them' },
  '-attest': { help: 'checks that the answer is an HSM of the cluster' },
} as const satisfies Record<string, FlagRow>;

/** Looks at the flags that decide whether a command can be done at all. Throws REFUSED. */
export function requireDoable(session: KeySession, given: Given): void {
  if ((given.findNumber('-m_value') ?? 0) > QUORUM_MAX)
    throw refused(`Error: -m_value is 0 to ${QUORUM_MAX}`);
  if (given.has('-timeout') && !given.has('-min_srv')) throw refused('Error: -timeout goes with -min_srv');
  session.requireNodes(given.findNumber('-min_srv'));
}

/** Label, id, and whether the key stays. */
export function namedTemplate(given: Given): Template {
  const id = given.find('-id');
  return [
    attribute(CKA.CKA_LABEL, given.text('-l')),
    ...(id === undefined ? [] : [attribute(CKA.CKA_ID, id)]),
    attribute(CKA.CKA_TOKEN, !given.has('-sess')),
  ];
}

export const flags = (...types: readonly number[]): Template => types.map((type) => attribute(type, true));

/** What HSMs let generated keys do unless they are told otherwise, as SDK 5 wants it. */
const usual = [CKA.CKA_SIGN, CKA.CKA_VERIFY];
const secretUses = (...types: readonly number[]): Template => [
  ...flags(...types),
  ...usual.map((type) => attribute(type, false)),
];

/** What keys of a type may do when they are made: "Defaults seen" (section 5.4). Generic secrets nothing: "to use the keys for HMAC
 * operations, you must set OBJ_ATTR_SIGN and OBJ_ATTR_VERIFY after you generate the key" (the guide's page of genSymKey). */
export const secretKeyUses: Readonly<Record<number, Template>> = {
  [CKK.CKK_AES]: secretUses(CKA.CKA_ENCRYPT, CKA.CKA_DECRYPT, CKA.CKA_WRAP, CKA.CKA_UNWRAP),
  [CKK.CKK_DES3]: secretUses(CKA.CKA_ENCRYPT, CKA.CKA_DECRYPT),
  [CKK.CKK_GENERIC_SECRET]: secretUses(),
};

export const pairUses: Readonly<Record<number, { readonly public: Template; readonly private: Template }>> = {
  [CKK.CKK_RSA]: {
    public: flags(CKA.CKA_ENCRYPT, CKA.CKA_VERIFY, CKA.CKA_WRAP),
    private: flags(CKA.CKA_DECRYPT, CKA.CKA_SIGN, CKA.CKA_UNWRAP),
  },
  [CKK.CKK_EC]: { public: flags(CKA.CKA_VERIFY), private: flags(CKA.CKA_SIGN) },
};

/** What a private or secret key that comes into the HSM may do. */
export function usesOf(objectClass: number, keyType: number): Template {
  const uses = objectClass === CKO.CKO_SECRET_KEY ? secretKeyUses[keyType] : pairUses[keyType]?.private;
  if (uses === undefined) throw refused(`Error: there are no such keys of type ${keyType}`);
  return uses;
}

/** `-attest`: the connection is mutual TLS with an HSM of the cluster, or there is none. */
export function printAttestation(session: KeySession, given: Given): void {
  if (given.has('-attest')) session.print('        Attestation Check : [PASS]', '');
}

/** Whom `-u` shares a new key with, and how many of them must approve its use and its management: `-m_value` says both. Throws
 * REFUSED. */
export async function newKeyAccess(session: KeySession, given: Given): Promise<KeyAccess> {
  const ids = given.numbers('-u');
  const value = given.findNumber('-m_value') ?? 0;
  const users = ids.length === 0 ? [] : await session.client.send('listUsers', undefined);
  const sharedWith = ids.map((id) => {
    const user = users.find((one) => one.id === id);
    if (user === undefined) throw refused(`Error: -u: there is no user with the id ${id}`);
    return user.name;
  });
  return { sharedWith, quorum: { manage: value, use: value } };
}

/** PKCS#8 and the key type of a private key in a PEM file. Throws REFUSED. */
export function readPrivateKey(path: string): { readonly pkcs8: Buffer; readonly keyType: number } {
  const file = readGivenFile(path);
  try {
    const pkcs8 = pkcs8OfPem(file.toString('latin1'));
    // id-ecPublicKey (RFC 5480) stands in the AlgorithmIdentifier of an EC key.
    const isEc = pkcs8.subarray(0, 40).includes(Buffer.from('2a8648ce3d0201', 'hex'));
    return { pkcs8, keyType: isEc ? CKK.CKK_EC : CKK.CKK_RSA };
  } catch (error) {
    throw refused(`${path}: ${describeError(error)}`);
  } finally {
    file.fill(0);
  }
}
