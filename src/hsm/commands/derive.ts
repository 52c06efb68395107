import { andThen, orElse } from '../../base/eventually.js';
import { finishedSecretKey, newSecretKeyLength, requireNewKeys } from '../../mechanisms/secret-keys.js';
import { buildSecretKey, derivedFrom } from '../../objects/build.js';
import { isSecret, keyTypeOf, type ObjectKind } from '../../objects/kinds.js';
import { kindOfTemplate, validateTemplate } from '../../objects/template-validator.js';
import { ckr } from '../../pkcs11/ckr.js';
import type { Mechanism } from '../../pkcs11/layouts.js';
import type { Template } from '../../pkcs11/template.js';
import type { Command } from './command.js';
import { type Created, finish, settled } from './create.js';
import { keyFor, withCkr } from './key-use.js';

function derivedKind(template: Template): ObjectKind {
  const kind = kindOfTemplate(template);
  if (!isSecret(kind)) throw ckr('CKR_TEMPLATE_INCONSISTENT', 'only secret keys are derived');
  return kind;
}

/** Makes a secret key out of another key. */
export const deriveKey: Command<{ handle: number; mechanism: Mechanism; template: Template }, Created> = {
  login: 'CU',
  run: (session, { handle, mechanism: { type, parameter }, template }, cause) => {
    const { mechanisms } = session.hsm;
    const { derive, keyTypes } = mechanisms.part(type, 'derive');
    const base = keyFor(session, handle, 'derive', type, keyTypes);
    const kind = derivedKind(template);
    const keyType = keyTypeOf(kind)!;
    requireNewKeys(keyType, mechanisms.kind);
    const { allow, settle } = session.gate.allowance(cause);
    const attributes = validateTemplate('derive', kind, template, allow);
    const lengthBytes = newSecretKeyLength(keyType, template);
    const history = derivedFrom(base.object);
    const owner = session.user;
    const limits = { kind: mechanisms.kind, ecdhWithoutKdf: session.options.ecdhWithoutKdf };
    const derived = withCkr(base, 'CKR_MECHANISM_PARAM_INVALID', () =>
      derive(base.key, parameter, lengthBytes, limits),
    );
    const created = andThen(derived, (bytes) =>
      orElse(
        () => {
          const key = buildSecretKey(kind, attributes, finishedSecretKey(keyType, bytes), history);
          return finish(session, owner, key, allow);
        },
        (error) => {
          bytes.fill(0);
          throw error;
        },
      ),
    );
    return settled(created, settle);
  },
};
