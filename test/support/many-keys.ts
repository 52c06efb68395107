import { randomBytes } from '../../src/crypto/index.js';
import type { Hsm } from '../../src/hsm/hsm.js';
import { CKA } from '../../src/pkcs11/attributes.js';
import { CKK, CKO } from '../../src/pkcs11/constants.js';
import { attribute } from '../../src/pkcs11/template.js';
import { loggedIn } from './in-process.js';

const AT_A_TIME = 64;

/** Gives an HSM token keys of `crypto_user`; their handles. */
export async function manyKeys(hsm: Hsm, count: number): Promise<number[]> {
  const user = await loggedIn(hsm, 'crypto_user', 'CU');
  const one = async (at: number): Promise<number> => {
    const template = [
      attribute(CKA.CKA_CLASS, CKO.CKO_SECRET_KEY),
      attribute(CKA.CKA_KEY_TYPE, CKK.CKK_AES),
      attribute(CKA.CKA_TOKEN, true),
      attribute(CKA.CKA_ENCRYPT, true),
      attribute(CKA.CKA_DECRYPT, true),
      attribute(CKA.CKA_LABEL, `key ${at}`),
      attribute(CKA.CKA_ID, Buffer.from(`id ${at}`)),
      attribute(CKA.CKA_VALUE, randomBytes(32)),
    ];
    const { handle, masked } = await user.send('createObject', { template });
    await user.send('insertMaskedObject', { masked: masked! });
    return handle;
  };
  const handles: number[] = [];
  for (let at = 0; at < count; at += AT_A_TIME) {
    const some = Array.from({ length: Math.min(AT_A_TIME, count - at) }, (_, step) => one(at + step));
    handles.push(...(await Promise.all(some)));
  }
  user.close();
  return handles;
}
