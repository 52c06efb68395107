import { andThen, type Eventually } from '../../base/eventually.js';
import { limits } from '../../base/limits.js';
import type { WrapDirection, WrapMechanism } from '../../mechanisms/mechanism.js';
import { isTokenObject } from '../../objects/hsm-object.js';
import { classOf, type ObjectKind } from '../../objects/kinds.js';
import { kindOfTemplate, validateTemplate } from '../../objects/template-validator.js';
import { buildUnwrapped } from '../../objects/unwrapped.js';
import { requireWrappable, templateForUnwrapping } from '../../objects/wrapping.js';
import { ckr } from '../../pkcs11/ckr.js';
import { CKO } from '../../pkcs11/constants.js';
import type { Mechanism } from '../../pkcs11/layouts.js';
import { mechanismName } from '../../pkcs11/mechanisms.js';
import type { Template } from '../../pkcs11/template.js';
import { requireOwn } from '../access.js';
import type { HsmSession } from '../hsm-session.js';
import type { KeyAccess } from '../key-access.js';
import type { LoadedObject } from '../loaded-object.js';
import type { Command } from './command.js';
import { type Created, finish, settled } from './create.js';
import { keyFor, withCkr } from './key-use.js';

function prepared(
  session: HsmSession,
  direction: WrapDirection,
  handle: number,
  { type, parameter }: Mechanism,
): { wrapping: WrapMechanism; loaded: LoadedObject } {
  const wrapping = session.hsm.mechanisms.part(type, direction);
  const loaded = keyFor(session, handle, direction, type, wrapping.keyTypes);
  wrapping.check(parameter, loaded.key, direction);
  return { wrapping, loaded };
}

/** Where a mechanism wraps secret keys only, an EC private key would be short enough, and is refused all the same. */
const isLeftOut = ({ targets }: WrapMechanism, kind: ObjectKind): boolean =>
  targets === 'secret' && classOf(kind) !== CKO.CKO_SECRET_KEY;

interface WrapRequest {
  readonly wrappingKey: number;
  readonly handle: number;
  readonly mechanism: Mechanism;
  /** What the caller has room for: a wrapped key that does not fit is not made. */
  readonly roomBytes: number;
}

interface WrapAnswer {
  readonly lengthBytes: number;
  readonly wrapped?: Buffer;
  /** The IV that the HSM has made, where it is not inside `wrapped`. */
  readonly iv?: Buffer;
}

/** Wraps a key: PKCS#8 of a private key, the bytes of a secret one. */
export const wrapKey: Command<WrapRequest, WrapAnswer> = {
  login: 'CU',
  run: (session, { wrappingKey, handle, mechanism, roomBytes }, cause): Eventually<WrapAnswer> => {
    const { wrapping, loaded } = prepared(session, 'wrap', wrappingKey, mechanism);
    const { allow, settle } = session.gate.allowance(cause);
    // Nobody has seen what C_UnwrapKey does with a session key, so that is no deviation.
    if (!isTokenObject(loaded.object) && !session.options.sessionWrappingKeys)
      allow('session-wrapping-key', `key ${wrappingKey} is a session key`);
    const target = session.key(handle);
    requireOwn(session.user, target.object);
    requireWrappable(loaded.object, target.object);
    if (isLeftOut(wrapping, target.kind)) {
      throw ckr('CKR_KEY_NOT_WRAPPABLE', `${mechanismName(mechanism.type)} wraps secret keys only`);
    }
    const { parameter } = mechanism;
    const { material } = target.object;
    const lengthBytes = wrapping.wrappedBytes(loaded.key, parameter, material.length);
    if (roomBytes < lengthBytes) return { lengthBytes };
    const wrapped = withCkr(loaded, 'CKR_KEY_NOT_WRAPPABLE', () =>
      wrapping.wrap(loaded.key, parameter, material),
    );
    return settled(
      andThen(wrapped, (made) => ({ lengthBytes, ...made })),
      settle,
    );
  },
};

interface UnwrapRequest {
  readonly unwrappingKey: number;
  readonly mechanism: Mechanism;
  readonly wrapped: Buffer;
  readonly template: Template;
  readonly access?: KeyAccess | undefined;
}

/** Unwraps a key and makes it an object of the user's. Whatever is wrong inside is CKR_WRAPPED_KEY_INVALID. */
export const unwrapKey: Command<UnwrapRequest, Created> = {
  login: 'CU',
  run: (session, { unwrappingKey, mechanism, wrapped, template, access }, cause): Eventually<Created> => {
    const { wrapping, loaded } = prepared(session, 'unwrap', unwrappingKey, mechanism);
    const owner = session.user;
    const whole = templateForUnwrapping(loaded.object, template);
    const kind = kindOfTemplate(whole.template);
    if (isLeftOut(wrapping, kind)) {
      throw ckr('CKR_TEMPLATE_INCONSISTENT', `${mechanismName(mechanism.type)} unwraps secret keys only`);
    }
    const { allow, settle } = session.gate.allowance(cause);
    const attributes = validateTemplate('unwrap', kind, whole.template, allow, whole.imposed);
    if (wrapped.length > limits.wrappedKeyBytes) {
      throw ckr('CKR_WRAPPED_KEY_LEN_RANGE', `no wrapped key has ${wrapped.length} bytes`);
    }
    const plain = withCkr(loaded, 'CKR_WRAPPED_KEY_INVALID', () =>
      wrapping.unwrap(loaded.key, mechanism.parameter, wrapped),
    );
    const created = andThen(plain, (bytes) => {
      try {
        return finish(session, owner, buildUnwrapped(kind, attributes, bytes), allow, access);
      } finally {
        bytes.fill(0);
      }
    });
    return settled(created, settle);
  },
};
