import { applianceUser, type NewUser } from '../user-records.js';
import { type AuditDetails, aboutUser, minimal } from './entry.js';

/** What the log of a new HSM begins with (reference management-tools, section 8.1), and how its users came to be. */
export function firstRecords(users: readonly NewUser[]): AuditDetails[] {
  return [
    minimal('CN_INIT_TOKEN'),
    minimal('CN_GEN_PSWD_ENC_KEY'),
    aboutUser('CN_CREATE_APPLIANCE_USER', applianceUser),
    minimal('CN_INIT_DONE'),
    ...users.flatMap((user, at) => {
      if (at === 0)
        return user.role === 'CO' ? [aboutUser('CN_CHANGE_PSWD', { ...user, role: 'PRECO' })] : [];
      return [aboutUser(user.role === 'CO' ? 'CN_CREATE_CO' : 'CN_CREATE_USER', user)];
    }),
  ];
}
