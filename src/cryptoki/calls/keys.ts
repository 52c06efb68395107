import { andThen } from '../../base/eventually.js';
import { noParameter } from '../../mechanisms/mechanism.js';
import { requireSecretKeyType } from '../../objects/template-validator.js';
import { CKA } from '../../pkcs11/attributes.js';
import { ckr } from '../../pkcs11/ckr.js';
import type { Mechanism } from '../../pkcs11/layouts.js';
import { templateBool } from '../../pkcs11/template.js';
import type { Handlers } from '../handler.js';
import type { Session } from '../session.js';
import { create, requireWritable } from './objects.js';

/** Throws CKR_ARGUMENTS_BAD, CKR_MECHANISM_INVALID or CKR_MECHANISM_PARAM_INVALID. */
function generationMechanism(
  session: Session,
  mechanism: Mechanism | null,
  operation: 'generateKey' | 'generateKeyPair',
): number {
  if (mechanism === null) throw ckr('CKR_ARGUMENTS_BAD', 'there is no mechanism');
  session.mechanisms.part(mechanism.type, operation);
  noParameter(mechanism.parameter);
  return mechanism.type;
}

/** Key management (v2.40 base, 5.13). */
export const keyCalls = {
  C_GenerateKey: (session, { pMechanism, pTemplate }) => {
    requireSecretKeyType(pTemplate);
    const type = generationMechanism(session, pMechanism, 'generateKey');
    const handle = create(session, pTemplate, () =>
      session.client.generateKey(type, pTemplate, 'C_GenerateKey'),
    );
    return andThen(handle, (phKey) => ({ phKey }));
  },

  C_GenerateKeyPair: (session, { pMechanism, pPublicKeyTemplate, pPrivateKeyTemplate }) => {
    const type = generationMechanism(session, pMechanism, 'generateKeyPair');
    session.requireLogin();
    const publicToken = templateBool(pPublicKeyTemplate, CKA.CKA_TOKEN, false);
    const privateToken = templateBool(pPrivateKeyTemplate, CKA.CKA_TOKEN, false);
    requireWritable(session, publicToken || privateToken);
    const pair = session.client.generateKeyPair(
      type,
      pPublicKeyTemplate,
      pPrivateKeyTemplate,
      'C_GenerateKeyPair',
    );
    return andThen(pair, ({ publicKey, privateKey }) => {
      const ownHandles = [...(publicToken ? [] : [publicKey]), ...(privateToken ? [] : [privateKey])];
      return andThen(session.adopt(...ownHandles), () => ({
        phPublicKey: publicKey,
        phPrivateKey: privateKey,
      }));
    });
  },

  C_DeriveKey: (session, { pMechanism, hBaseKey, pTemplate }) => {
    if (pMechanism === null) throw ckr('CKR_ARGUMENTS_BAD', 'there is no mechanism');
    session.mechanisms.part(pMechanism.type, 'derive');
    const handle = create(session, pTemplate, () =>
      session.client.deriveKey(hBaseKey, pMechanism, pTemplate, 'C_DeriveKey'),
    );
    return andThen(handle, (phKey) => ({ phKey }));
  },
} satisfies Handlers;
