import { limits } from '../../base/limits.js';
import { randomBytes } from '../../crypto/index.js';
import { ckr } from '../../pkcs11/ckr.js';
import type { Command } from './command.js';

/** Throws CKR_ARGUMENTS_BAD: a client may ask for any number. */
function bounded(lengthBytes: number, maxBytes: number): Buffer {
  if (lengthBytes > maxBytes) throw ckr('CKR_ARGUMENTS_BAD', `${lengthBytes} bytes: at most ${maxBytes}`);
  return randomBytes(lengthBytes);
}

/** Random bytes. */
export const generateRandom: Command<{ lengthBytes: number }, Buffer> = {
  login: 'none',
  run: (session, { lengthBytes }, cause) => {
    if (!session.loggedIn) session.gate.allow('random-before-login', cause, 'nobody is logged in');
    return bounded(lengthBytes, limits.randomBytes);
  },
};

/** An IV for one encryption on this connection: where IVs must come from the HSM, "encrypt" takes no other. */
export const generateIv: Command<{ lengthBytes: number }, Buffer> = {
  login: 'CU',
  run: (session, { lengthBytes }) => {
    const iv = bounded(lengthBytes, limits.ivBytes);
    session.rememberIv(iv);
    return iv;
  },
};
