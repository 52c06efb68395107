import { randomBytes } from '../../crypto/index.js';
import type { Command } from './command.js';

/** Random bytes. */
export const generateRandom: Command<{ lengthBytes: number }, Buffer> = {
  login: 'none',
  run: (session, { lengthBytes }, cause) => {
    if (!session.loggedIn) session.gate.allow('random-before-login', cause, 'nobody is logged in');
    return randomBytes(lengthBytes);
  },
};

/** An IV for one encryption on this connection: where IVs must come from the HSM, "encrypt" takes no other. */
export const generateIv: Command<{ lengthBytes: number }, Buffer> = {
  login: 'CU',
  run: (session, { lengthBytes }) => {
    const iv = randomBytes(lengthBytes);
    session.rememberIv(iv);
    return iv;
  },
};
