import type { Role } from '../roles.js';
import { signsDigest } from '../second-factor.js';
import type { User } from '../user-records.js';
import type { Command } from './command.js';

/** Logs a user in on this connection; a user with a second factor with a signature of the connection's challenge, which others
 * bring for nothing. CKR_PIN_INCORRECT, CKR_PIN_LOCKED, CKR_USER_ALREADY_LOGGED_IN. */
export const login: Command<
  { name: string; password: string; role: Role; signature?: Buffer | undefined },
  void
> = {
  login: 'none',
  run: async (session, { name, password, role, signature }) => {
    const challenge = session.takeChallenge();
    const signs = (publicKey: Buffer): boolean =>
      challenge !== undefined && signature !== undefined && signsDigest(publicKey, challenge, signature);
    const steps = { signs, login: (user: User) => session.login(user) };
    await session.hsm.users.authenticate(name, password, role, steps);
    if (role !== 'AU') session.hsm.onLogin?.();
  },
};

export const logout: Command<void, void> = {
  login: 'none',
  run: (session) => session.logout(),
};
