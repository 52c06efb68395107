import type { Eventually } from '../../base/eventually.js';
import { changedAttributes, copiedAttributes } from '../../objects/change.js';
import { isTokenObject } from '../../objects/hsm-object.js';
import { attributesAfterSetting } from '../../objects/key-settings.js';
import { ckr } from '../../pkcs11/ckr.js';
import type { Attribute, Template } from '../../pkcs11/template.js';
import type { HsmSession } from '../hsm-session.js';
import type { LoadedObject } from '../loaded-object.js';
import type { Command } from './command.js';
import { type Created, finish } from './create.js';

/** "C_SetAttributeValue is for certificates only; no C_CopyObject" (reference section 0). */
function requireCompatible({ hsm }: HsmSession, loaded: LoadedObject | undefined, call: string): void {
  if (hsm.settings.profile === 'compatible' || loaded?.kind === 'certificate') return;
  throw ckr('CKR_FUNCTION_NOT_SUPPORTED', `CloudHSM has no ${call} for keys`);
}

/** Changes attributes of an object. Durable when answered. */
export const setAttributes: Command<{ handle: number; template: Template }, void> = {
  login: 'CU',
  run: (session, { handle, template }): Eventually<void> => {
    const loaded = session.changeableObject(handle);
    requireCompatible(session, loaded, 'C_SetAttributeValue');
    if (isTokenObject(loaded.object)) {
      return session.hsm.objects.change(
        handle,
        (object) => ({ attributes: changedAttributes(object, template) }),
        session.uniqueIds,
      );
    }
    const attributes = changedAttributes(loaded.object, template);
    session.requireFreeId(attributes, handle);
    return session.replaceSessionObject({ ...loaded.object, attributes });
  },
};

/** Makes a copy of an object, with some attributes changed: of a session key a token key, for instance. */
export const copyObject: Command<{ handle: number; template: Template }, Created> = {
  login: 'CU',
  run: (session, { handle, template }) => {
    requireCompatible(session, undefined, 'C_CopyObject');
    const { object } = session.changeableObject(handle);
    const attributes = copiedAttributes(object, template);
    return finish(session, session.user, { attributes, material: Buffer.from(object.material) });
  },
};

/**
 * Sets one attribute of a key as CloudHSM's tools do, by their rules (src/objects/key-settings.ts): its owner most of them,
 * an admin CKA_TRUSTED. Durable when answered. A session key that is set to be a token key comes masked, to be inserted on
 * every HSM under the handle it has.
 */
export const setKeyAttribute: Command<{ handle: number; attribute: Attribute }, Created | undefined> = {
  login: 'any',
  run: (session, { handle, attribute }) => {
    const setter = { role: session.user.role, hsmType: session.hsm.settings.hsmType };
    const { object } = setter.role === 'CO' ? session.anyTokenKey(handle) : session.changeableObject(handle);
    if (isTokenObject(object)) {
      return session.hsm.objects
        .change(
          handle,
          (now) => ({ attributes: attributesAfterSetting(now, attribute, setter) }),
          session.uniqueIds,
        )
        .then(() => undefined);
    }
    const changed = { ...object, attributes: attributesAfterSetting(object, attribute, setter) };
    if (isTokenObject(changed)) {
      session.beginPromotion(handle);
      return { handle, masked: session.hsm.maskingKey.mask(changed) };
    }
    session.requireFreeId(changed.attributes, handle);
    session.replaceSessionObject(changed);
    return undefined;
  },
};
