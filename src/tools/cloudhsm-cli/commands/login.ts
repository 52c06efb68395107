import type { HsmConnection } from '../../../hsm/hsm.js';
import { HsmUnavailable } from '../../../hsm/unavailable.js';
import { required, secret } from '../../command-row.js';
import { refused } from '../../failure.js';
import type { Terminal } from '../../terminal.js';
import type { CliCluster, CliLogin } from '../cluster.js';
import { command } from '../context.js';
import type { Credentials } from '../environment.js';
import { loginRefusal } from '../messages.js';
import { roleKind, roleOf } from '../names.js';
import { passwordFor } from '../passwords.js';
import { signChallenges } from '../second-factor.js';

/**
 * Logs in on every HSM that can be reached, or on none: the others are left out, and named on the terminal. `signatureOn` is there for
 * users with a second factor.
 */
export async function logIn(
  cluster: CliCluster,
  terminal: Terminal,
  { username, role, password }: Credentials,
  signatureOn: (connection: HsmConnection) => Buffer | undefined = () => undefined,
): Promise<CliLogin> {
  if (cluster.login !== undefined) throw refused(`${cluster.login.username} is logged in: log out first`);
  const name = username.toLowerCase();
  const request = { name, password, role: roleOf(role) };
  try {
    await cluster.onConnected('Login', async (connection) => {
      try {
        await connection.send('login', { ...request, signature: signatureOn(connection) });
      } catch (error) {
        throw loginRefusal(error);
      }
    });
  } catch (error) {
    await logOut(cluster);
    throw error;
  }
  for (const missing of cluster.missing)
    terminal.complain(`warning: ${missing}; users and quorums cannot be changed meanwhile`);
  cluster.login = { username: name, role };
  return cluster.login;
}

/** Ends the login on every HSM that can be reached; on the others it ended with the connection. */
export async function logOut(cluster: CliCluster): Promise<void> {
  cluster.login = undefined;
  const results = await cluster.group.each((connection) => connection.send('logout', undefined));
  for (const { result } of results) {
    if (result.status === 'rejected' && !(result.reason instanceof HsmUnavailable)) throw result.reason;
  }
}

const options = {
  username: required<string>('USERNAME', 'Username to access the Cluster'),
  role: required('ROLE', 'Role the user has in the Cluster', roleKind),
  password: secret(
    'PASSWORD',
    "Optional: Plaintext user's password. If you do not include this argument you will be prompted for it",
  ),
};

export const loginCommands = [
  command({
    path: ['login'],
    help: 'Login to your cluster',
    roles: [],
    options,
    run: async ({ cluster, terminal }, { username, role, password }) =>
      logIn(cluster, terminal, { username, role, password: await passwordFor(terminal, password) }),
  }),
  command({
    path: ['login', 'mfa-token-sign'],
    help: 'Login with token-sign mfa',
    roles: [],
    options: {
      ...options,
      token: required<string>('TOKEN', 'Filepath where the unsigned token file will be written'),
    },
    run: async ({ cluster, terminal }, { username, role, password: given, token }) => {
      const password = await passwordFor(terminal, given);
      const signatureOn = await signChallenges(cluster, terminal, token);
      return logIn(cluster, terminal, { username, role, password }, signatureOn);
    },
  }),
  command({
    path: ['logout'],
    help: 'Logout of your cluster',
    roles: ['CO', 'CU'],
    options: {},
    run: async ({ cluster }) => {
      await logOut(cluster);
      return 'Logout successful';
    },
  }),
];
