import type { Role } from '../roles.js';
import type { Command } from './command.js';

/** Logs a user in on this connection. CKR_PIN_INCORRECT, CKR_PIN_LOCKED, CKR_USER_ALREADY_LOGGED_IN. */
export const login: Command<{ name: string; password: string; role: Role }, void> = {
  login: 'none',
  run: async (session, { name, password, role }) => {
    await session.hsm.users.authenticate(name, password, role, (user) => session.login(user));
  },
};

export const logout: Command<void, void> = {
  login: 'none',
  run: (session) => session.logout(),
};
