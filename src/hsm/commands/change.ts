import type { Eventually } from '../../base/eventually.js';
import { changedAttributes, copiedAttributes } from '../../objects/change.js';
import { boolAttribute, isTokenObject } from '../../objects/hsm-object.js';
import { attributesAfterSetting } from '../../objects/key-settings.js';
import { CKA } from '../../pkcs11/attributes.js';
import { ckr } from '../../pkcs11/ckr.js';
import type { Attribute, Template } from '../../pkcs11/template.js';
import type { Command } from './command.js';
import { type Created, finish, settled } from './create.js';

/** Changes attributes of an object. Durable when answered. */
export const setAttributes: Command<{ handle: number; template: Template }, void> = {
  login: 'CU',
  run: (session, { handle, template }, cause, write): Eventually<void> => {
    const loaded = session.changeableObject(handle);
    // "C_SetAttributeValue is for certificates only" (reference section 0).
    const { allow, settle } = session.gate.allowance(cause);
    if (loaded.kind !== 'certificate') allow('set-key-attribute', `object ${handle}`);
    if (isTokenObject(loaded.object)) {
      session.requireFreeId(changedAttributes(loaded.object, template), allow, loaded.object);
      const change = session.hsm.objects.change(
        handle,
        (object) => ({ attributes: changedAttributes(object, template) }),
        session.gate.refuses,
        write,
      );
      return settled(change, settle);
    }
    const attributes = changedAttributes(loaded.object, template);
    session.requireFreeId(attributes, allow, loaded.object);
    session.replaceSessionObject({ ...loaded.object, attributes });
    settle();
    return undefined;
  },
};

/** Makes a copy of an object, with some attributes changed: of a session key a token key, for instance. */
export const copyObject: Command<{ handle: number; template: Template }, Created> = {
  login: 'CU',
  run: (session, { handle, template }, cause) => {
    const { allow, settle } = session.gate.allowance(cause);
    allow('copy-object', `object ${handle}`);
    const { object } = session.changeableObject(handle);
    // CloudHSM copies no keys; who let this one be copied would have to approve what is done with the copy.
    if (object.quorum !== undefined)
      throw ckr('CKR_ACTION_PROHIBITED', `key ${handle} has a quorum: it is not copied`);
    const attributes = copiedAttributes(object, template);
    const copy = { attributes, material: Buffer.from(object.material) };
    return settled(finish(session, session.user, copy, allow), settle);
  },
};

/**
 * Sets one attribute of a key as CloudHSM's tools do, by their rules (src/objects/key-settings.ts): its owner most of them,
 * an admin CKA_TRUSTED. Durable when answered. A session key that is set to be a token key comes masked, to be inserted on
 * every HSM under the handle it has.
 */
export const setKeyAttribute: Command<{ handle: number; attribute: Attribute }, Created | undefined> = {
  login: 'keyAdministration',
  run: (session, { handle, attribute }, cause, write) => {
    const { allow, settle } = session.gate.allowance(cause);
    const role = session.user.role === 'CO' ? ('CO' as const) : ('CU' as const);
    const setter = { role, hsmType: session.hsm.settings.hsmType };
    const { object } = setter.role === 'CO' ? session.anyTokenKey(handle) : session.changeableObject(handle);
    const changed = { ...object, attributes: attributesAfterSetting(object, attribute, setter) };
    if (isTokenObject(object)) {
      session.requireFreeId(changed.attributes, allow, object);
      const change = session.hsm.objects.change(
        handle,
        (now) => ({ attributes: attributesAfterSetting(now, attribute, setter) }),
        session.gate.refuses,
        write,
      );
      return change.then(settle).then(() => undefined);
    }
    if (isTokenObject(changed)) {
      const promoted = { ...changed, version: session.beginPromotion(handle) };
      const destroyable = boolAttribute(promoted, CKA.CKA_DESTROYABLE);
      return { handle, masked: session.hsm.maskingKey.mask(promoted), isKey: true, destroyable };
    }
    session.requireFreeId(changed.attributes, allow, object);
    session.replaceSessionObject(changed);
    settle();
    return undefined;
  },
};
