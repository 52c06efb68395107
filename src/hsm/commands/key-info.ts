import { digest } from '../../crypto/index.js';
import { boolAttribute, type HsmObject } from '../../objects/hsm-object.js';
import { type KeyQuorum, NO_KEY_QUORUM } from '../../objects/key-quorum.js';
import { isFoundBy } from '../../objects/matching.js';
import { CKA } from '../../pkcs11/attributes.js';
import { ckr } from '../../pkcs11/ckr.js';
import type { Template } from '../../pkcs11/template.js';
import type { HsmSession } from '../hsm-session.js';
import { nameOf } from '../user-identity.js';
import type { Command } from './command.js';

/* What administrators see of keys: whose they are and what they are called, nothing to use them by (reference
 * management-tools, sections 4.2, 4.3 and 6.3). */

interface KeyHolder {
  readonly id: number;
  readonly name: string;
}

export interface KeyInfo {
  readonly owner: KeyHolder;
  readonly sharedWith: readonly KeyHolder[];
  readonly token: boolean;
  readonly label: string;
  /** "key-length-bytes": of a private key, its PKCS#8 (section 5.4). */
  readonly materialBytes: number;
  readonly quorum: KeyQuorum;
}

export interface FoundKey {
  readonly handle: number;
  /** The user asked about has it by sharing. */
  readonly shared: boolean;
  readonly label: string;
}

const labelOf = ({ attributes }: HsmObject): string => (attributes.get(CKA.CKA_LABEL) ?? '').toString();

function holder({ hsm }: HsmSession, identity: string): KeyHolder {
  return { id: hsm.users.owner(identity)?.id ?? 0, name: nameOf(identity) };
}

/** Whose a key is and who shares it: as a CU of keys that one can use, otherwise of any token key. CKR_OBJECT_HANDLE_INVALID. */
export const getKeyInfo: Command<{ readonly handle: number }, KeyInfo> = {
  login: 'maskedObjects',
  run: (session, { handle }) => {
    const { object } = session.user.role === 'CU' ? session.key(handle) : session.anyTokenKey(handle);
    return {
      owner: holder(session, object.owner),
      sharedWith: object.sharedWith.map((user) => holder(session, user)),
      token: boolAttribute(object, CKA.CKA_TOKEN),
      label: labelOf(object),
      materialBytes: object.material.length,
      quorum: object.quorum ?? NO_KEY_QUORUM,
    };
  },
};

/** Token keys that a template matches, by ascending handles: those of one user, "public keys only if owned", or everybody's. For "CO,
 * PCO, AU" (reference management-tools, section 4.2). CKR_ACTION_PROHIBITED, CKR_USER_TYPE_INVALID. */
export const findAllKeys: Command<
  { readonly user?: string | undefined; readonly template: Template },
  readonly FoundKey[]
> = {
  login: 'maskedObjects',
  run: (session, { user, template }) => {
    const { hsm } = session;
    if (session.user.role === 'CU')
      throw ckr('CKR_ACTION_PROHIBITED', 'only crypto officers ask for all keys of a user');
    const identity = user === undefined ? undefined : hsm.users.find(user)?.identity;
    if (user !== undefined && identity === undefined)
      throw ckr('CKR_USER_TYPE_INVALID', 'there is no user of that name');
    const found: FoundKey[] = [];
    for (const handle of hsm.objects.candidates(template)) {
      const loaded = hsm.objects.get(handle);
      if (loaded === undefined || loaded.kind === 'certificate') continue;
      const { object, kind } = loaded;
      const isOwner = identity === undefined || object.owner === identity;
      const shared = !isOwner && object.sharedWith.includes(identity);
      if ((isOwner || shared) && isFoundBy(template, object, kind, false))
        found.push({ handle, shared, label: labelOf(object) });
    }
    return found.sort((one, other) => one.handle - other.handle);
  },
};

/** What tells whether two HSMs have the same users, keys, owners and shares: "covers users, owners and shares of all keys"
 * (section 4.3), as SHA-256 over a canonical listing [guess]. */
export const getKeysHash: Command<void, Buffer> = {
  login: 'maskedObjects',
  run: ({ hsm }) => {
    const users = hsm.users.list().map(({ id, name, role }) => `user ${id} ${role} ${name}`);
    const ids = hsm.users.idsByIdentity();
    const keys: string[] = [];
    for (const handle of hsm.objects.candidates([])) {
      const loaded = hsm.objects.get(handle);
      if (loaded === undefined || loaded.kind === 'certificate') continue;
      const { owner, sharedWith } = loaded.object;
      const shares = sharedWith.map((user) => ids.get(user) ?? 0).sort((one, other) => one - other);
      keys.push(`key ${handle} ${ids.get(owner) ?? 0} ${shares.join(',')}`);
    }
    return digest('sha256', Buffer.from([...users, ...keys].join('\n')));
  },
};
