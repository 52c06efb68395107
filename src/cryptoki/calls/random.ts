import { andThen } from '../../base/eventually.js';
import { limits } from '../../base/limits.js';
import { ckr } from '../../pkcs11/ckr.js';
import type { Handlers } from '../handler.js';

/** Random number generation (v2.40 base, 5.15). */
export const randomCalls = {
  C_GenerateRandom: (session, { RandomData: lengthBytes }) => {
    if (lengthBytes > limits.randomBytes) {
      throw ckr('CKR_ARGUMENTS_BAD', `${lengthBytes} random bytes at once: at most ${limits.randomBytes}`);
    }
    return andThen(
      session.client.send('generateRandom', { lengthBytes }, 'C_GenerateRandom'),
      (RandomData) => ({ RandomData }),
    );
  },

  C_SeedRandom: (session) => {
    session.token.gate.allow('seed-random', 'C_SeedRandom', 'there is no seeding');
    throw ckr('CKR_RANDOM_SEED_NOT_SUPPORTED', 'the HSM seeds itself');
  },
} satisfies Handlers;
