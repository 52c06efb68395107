import type { Allow } from '../objects/gate.js';
import type { Mechanism } from '../pkcs11/layouts.js';

/** An OAEP label of no bytes is one that is not there: but CloudHSM wants pSourceData to say so. */
export function checkOaepSource({ parameter }: Mechanism, allow: Allow): void {
  if (parameter === undefined || Buffer.isBuffer(parameter)) return;
  const oaep = parameter.layout === 'CK_RSA_AES_KEY_WRAP_PARAMS' ? parameter.pOAEPParams : parameter;
  if (oaep.layout !== 'CK_RSA_PKCS_OAEP_PARAMS') return;
  if (oaep.sourceGiven && oaep.pSourceData.length === 0)
    allow('oaep-source-pointer', 'pSourceData is not NULL');
}
