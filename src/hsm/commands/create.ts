import { andThen, type Eventually, orElse } from '../../base/eventually.js';
import {
  buildImported,
  buildKeyPair,
  type NewObject,
  newSecretKey,
  type PairName,
} from '../../objects/build.js';
import type { Allow } from '../../objects/gate.js';
import { boolAttribute, type HsmObject, isTokenObject, kindOf } from '../../objects/hsm-object.js';
import { kindRows, type ObjectKind, objectKind } from '../../objects/kinds.js';
import { LastTemplate } from '../../objects/last-template.js';
import { kindOfTemplate, validateTemplate } from '../../objects/template-validator.js';
import { CKA } from '../../pkcs11/attributes.js';
import { ckr } from '../../pkcs11/ckr.js';
import { CKK, CKO } from '../../pkcs11/constants.js';
import type { Template } from '../../pkcs11/template.js';
import { requireOwn } from '../access.js';
import type { HsmSession } from '../hsm-session.js';
import { grantedAccess, type KeyAccess } from '../key-access.js';
import { LoadedObject } from '../loaded-object.js';
import type { User } from '../user-records.js';
import type { Command } from './command.js';

/**
 * A new object. A session object is in place already. A token object exists nowhere yet: it comes masked, and becomes
 * one when the client inserts it on every HSM of the cluster, this one included, all at once.
 */
export interface Created {
  readonly handle: number;
  readonly masked?: Buffer;
  /** False for a certificate. */
  readonly isKey: boolean;
  /** Its CKA_DESTROYABLE. */
  readonly destroyable: boolean;
}

/** Gives a new object its handle and its owner: who was logged in when the command came, and still is. */
export function finish(
  session: HsmSession,
  owner: User,
  { attributes, material, complete = () => attributes }: NewObject,
  allow: Allow,
  access?: KeyAccess,
): Eventually<Created> {
  session.requireFreeId(attributes, allow);
  return andThen(session.hsm.handles.allocate(), (handle) => {
    if (session.user !== owner) throw ckr('CKR_USER_NOT_LOGGED_IN', `${owner.name} logged out meanwhile`);
    const granted = grantedAccess(session, attributes, access);
    const visible = { handle, version: 1, owner: owner.identity, ...granted, attributes };
    const finished = (): HsmObject => ({ ...visible, attributes: complete(), material });
    const kind = kindOf(visible);
    const isKey = kind !== 'certificate';
    const destroyable = boolAttribute(visible, CKA.CKA_DESTROYABLE);
    if (!isTokenObject(visible)) {
      session.addSessionObject(
        LoadedObject.unfinished(handle, kind, { visible, material, finish: finished }),
      );
      return { handle, isKey, destroyable };
    }
    const masked = session.hsm.maskingKey.mask(finished());
    material.fill(0);
    return { handle, masked, isKey, destroyable };
  });
}

/** Work whose deviations count, now that it has succeeded. */
export function settled<T>(work: Eventually<T>, settle: () => void): Eventually<T> {
  return andThen(work, (done) => {
    settle();
    return done;
  });
}

/** Of keys that are generated: no template of those has a secret. */
const lastTemplates = new Map(kindRows.map(({ kind }) => [kind, new LastTemplate()]));

export const generateKey: Command<
  { mechanism: number; template: Template; access?: KeyAccess | undefined },
  Created
> = {
  login: 'CU',
  run: (session, { mechanism, template, access }, cause) => {
    const { keyType, generate } = session.hsm.mechanisms.part(mechanism, 'generateKey');
    const kind = objectKind(CKO.CKO_SECRET_KEY, keyType)!;
    const { allow, settle } = session.gate.allowance(cause);
    const attributes = lastTemplates
      .get(kind)!
      .attributes(template, allow, (asked) => validateTemplate('generate', kind, template, asked));
    const key = newSecretKey(kind, attributes, generate(template));
    return settled(finish(session, session.user, key, allow, access), settle);
  },
};

function pairName(keyType: number): PairName {
  if (keyType === CKK.CKK_RSA) return 'rsa';
  return keyType === CKK.CKK_EC ? 'ec' : 'mldsa';
}

/** `access` is to the private half: "public keys do not have quorum values", and everybody's are theirs. */
export const generateKeyPair: Command<
  {
    mechanism: number;
    publicTemplate: Template;
    privateTemplate: Template;
    access?: KeyAccess | undefined;
  },
  { publicKey: Created; privateKey: Created }
> = {
  login: 'CU',
  run: (session, { mechanism, publicTemplate, privateTemplate, access }, cause) => {
    const { keyType, generate } = session.hsm.mechanisms.part(mechanism, 'generateKeyPair');
    const name = pairName(keyType);
    const owner = session.user;
    const { allow, settle } = session.gate.allowance(cause);
    const validated = (kind: ObjectKind, template: Template) =>
      validateTemplate('generatePair', kind, template, allow);
    const publicAttributes = validated(`${name}Public`, publicTemplate);
    const privateAttributes = validated(`${name}Private`, privateTemplate);
    const created = andThen(generate(publicTemplate, session.hsm.mechanisms.kind), (der) => {
      const pair = buildKeyPair(name, publicAttributes, privateAttributes, der);
      return andThen(finish(session, owner, pair.publicKey, allow), (publicKey) =>
        orElse(
          () =>
            andThen(finish(session, owner, pair.privateKey, allow, access), (privateKey) => ({
              publicKey,
              privateKey,
            })),
          // No half without the other.
          (error) => {
            session.removeSessionObject(publicKey.handle);
            throw error;
          },
        ),
      );
    });
    return settled(created, settle);
  },
};

/** Makes an object from a template: a key brought along, or a certificate. */
export const createObject: Command<{ template: Template }, Created> = {
  login: 'CU',
  run: (session, { template }, cause) => {
    const kind = kindOfTemplate(template);
    const { allow, settle } = session.gate.allowance(cause);
    if (kind === 'certificate') session.requireCertificateStorage(allow);
    const attributes = validateTemplate('create', kind, template, allow);
    return settled(finish(session, session.user, buildImported(kind, attributes), allow), settle);
  },
};

/** Makes a copy of a masked object of one's own under a new handle: "insertMaskedObject: a new handle, unlike syncKey" (reference
 * management-tools, section 5.5), with the same users and quorum. CKR_FUNCTION_FAILED: another masking key; CKR_ACTION_PROHIBITED:
 * another owner; CKR_ARGUMENTS_BAD: too few of its users are here for its quorum. */
export const copyMaskedObject: Command<{ masked: Buffer }, Created> = {
  login: 'CU',
  run: (session, { masked }, cause) => {
    const { hsm, user } = session;
    const object = hsm.maskingKey.unmask(masked);
    requireOwn(user, object);
    const { sharedWith, quorum, attributes, material } = object;
    const { allow, settle } = session.gate.allowance(cause);
    // Who has no account here has no part in the copy, which may then be one approver short.
    const present = sharedWith.flatMap((identity) => hsm.users.owner(identity)?.name ?? []);
    const access = { sharedWith: present, quorum };
    return settled(finish(session, user, { attributes, material }, allow, access), settle);
  },
};
