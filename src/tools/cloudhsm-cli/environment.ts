import { refused } from '../failure.js';
import { isRoleName, type RoleName } from './names.js';

export interface Credentials {
  readonly username: string;
  readonly role: RoleName;
  readonly password: string;
}

/** CLOUDHSM_PIN, split at its first colon, and CLOUDHSM_ROLE (reference management-tools, section 6.1). Throws REFUSED. */
export function environmentLogin(env: NodeJS.ProcessEnv, prefix: '' | 'DESTINATION_' = ''): Credentials {
  const pin = env[`${prefix}CLOUDHSM_PIN`];
  const role = env[`${prefix}CLOUDHSM_ROLE`];
  const at = pin?.indexOf(':') ?? -1;
  if (pin === undefined || at < 1 || role === undefined || !isRoleName(role)) {
    throw refused(
      `this command needs a login: set ${prefix}CLOUDHSM_ROLE to admin or crypto-user and ${prefix}CLOUDHSM_PIN to <username>:<password>`,
    );
  }
  return { username: pin.slice(0, at), password: pin.slice(at + 1), role };
}
