import type { UserInfo } from '../../../hsm/user-records.js';
import { flag, optional, required, secret } from '../../command-row.js';
import { refused, usage } from '../../failure.js';
import { approvalOption, bringApprovals } from '../approvals.js';
import { command } from '../context.js';
import { agreed, INCONSISTENT, type RoleName, roleKind, roleNames, roleOf } from '../names.js';
import { newPasswordFor } from '../passwords.js';
import { askForPublicKey, readPublicKey, signChallenges } from '../second-factor.js';
import { readRegistration } from '../token-files.js';

const whom = {
  username: required<string>('USERNAME', 'Username to access the Cluster'),
  role: required('ROLE', 'Role the user has in the Cluster', roleKind),
};

const password = secret(
  'PASSWORD',
  "Optional: Plaintext user's password. If you do not include this argument you will be prompted for it",
);

interface Whom {
  readonly username: string;
  readonly role: RoleName;
}

const onHsm = ({ username, role }: Whom) => ({ name: username.toLowerCase(), role: roleOf(role) });
/** "SDK5 prints lower case" (reference management-tools, section 1.3). */
const answer = ({ username, role }: Whom) => ({ username: username.toLowerCase(), role });

const strategy = (enabled: boolean) => (enabled ? [{ strategy: 'token-sign', status: 'enabled' }] : []);

/** What HSMs say of the users of one name. */
export function userEntry(infos: readonly UserInfo[], hsms: number): object {
  const of = <T>(property: (info: UserInfo) => T) => agreed(infos.map(property));
  return {
    username: infos[0]!.name,
    role: of(({ role }) => roleNames[role]),
    locked: of(({ locked }) => String(locked)),
    mfa: of(({ secondFactor }) => strategy(secondFactor)),
    quorum: of(({ quorumKey }) => strategy(quorumKey)),
    'cluster-coverage': infos.length === hsms ? 'full' : INCONSISTENT,
  };
}

/** By its name, and by the one that it had: "accept as aliases [guess]" (reference management-tools, section 10). */
const registering = (name: 'register' | 'activate') =>
  command({
    path: ['user', 'change-quorum', 'token-sign', name],
    help: 'Register a quorum strategy public key with a user',
    roles: ['CO', 'CU'],
    options: {
      'public-key': required<string>(
        'PUBLIC_KEY',
        'Filepath of public key PEM file to register with the user',
      ),
      'signed-token': required<string>('SIGNED_TOKEN', 'Filepath with the signed registration token'),
    },
    run: async ({ cluster }, { 'public-key': file, 'signed-token': token }) => {
      const publicKey = readPublicKey(file);
      const { data, signature } = readRegistration(token);
      await cluster.sendToAll('Registration', 'registerPublicKey', { publicKey, signature, token: data });
      if (cluster.login === undefined) throw refused('nobody is logged in');
      return { ...cluster.login };
    },
  });

export const userCommands = [
  command({
    path: ['user', 'list'],
    help: 'List the users in your cluster',
    roles: [],
    options: {},
    run: async ({ cluster }) => {
      const lists = await cluster.ofReachable('listUsers', undefined);
      const byName = new Map<string, UserInfo[]>();
      for (const info of lists.flat()) byName.set(info.name, [...(byName.get(info.name) ?? []), info]);
      const users = [...byName.values()].sort((one, other) => one[0]!.id - other[0]!.id);
      return { users: users.map((infos) => userEntry(infos, lists.length)) };
    },
  }),
  command({
    path: ['user', 'create'],
    help: 'Create a new user',
    roles: ['CO'],
    options: { ...whom, password, ...approvalOption },
    run: async ({ cluster, terminal }, { password: given, approval, ...user }) => {
      const newPassword = await newPasswordFor(terminal, given);
      await bringApprovals(cluster, approval);
      const generations = await cluster.ofReachable('nextGeneration', { name: onHsm(user).name });
      const generation = Math.max(...generations.map((one) => one.generation));
      const created = { ...onHsm(user), password: newPassword, generation };
      await cluster.sendToAll('User create', 'createUser', created);
      return answer(user);
    },
  }),
  command({
    path: ['user', 'delete'],
    help: 'Delete a user',
    roles: ['CO'],
    options: { ...whom, ...approvalOption },
    run: async ({ cluster }, { approval, ...user }) => {
      await bringApprovals(cluster, approval);
      await cluster.sendToAll('User delete', 'deleteUser', onHsm(user));
      return answer(user);
    },
  }),
  command({
    path: ['user', 'change-password'],
    help: "Change a user's password",
    roles: ['CO', 'CU'],
    options: {
      ...whom,
      password,
      ...approvalOption,
      'deregister-mfa': flag('Deregister the user mfa public key, if present'),
      'deregister-quorum': flag('Deregister the user quorum public key, if present'),
    },
    run: async ({ cluster, terminal }, { password: given, approval, ...user }) => {
      const newPassword = await newPasswordFor(terminal, given);
      await bringApprovals(cluster, approval);
      // "Changing the password removes the registration unless re-registered" (section 1.4), with the flags or without.
      await cluster.sendToAll('User change-password', 'changePassword', {
        ...onHsm(user),
        password: newPassword,
      });
      return answer(user);
    },
  }),
  command({
    path: ['user', 'change-mfa', 'token-sign'],
    help: 'Register or deregister a token-sign mfa strategy',
    roles: ['CO', 'CU'],
    options: {
      ...whom,
      'change-password': secret(
        'CHANGE_PASSWORD',
        "Optional: Plaintext user's password. If you do not include this argument you will be prompted for it",
      ),
      token: optional<string>(
        'TOKEN',
        'Filepath where the unsigned token file will be written. Required for enabling MFA for a user',
      ),
      ...approvalOption,
      deregister: flag('Deregister the MFA public key, if present'),
      'change-quorum': flag('Change the Quorum public key along with the MFA key: one key serves both'),
    },
    run: async (
      { cluster, terminal },
      { 'change-password': given, token, approval, deregister, ...user },
    ) => {
      if ((token === undefined) === !deregister)
        throw usage('the following required arguments were not provided:\n  <--token <TOKEN>|--deregister>');
      if (token === undefined) {
        // A new password takes the second factor along.
        const password = given === undefined ? undefined : await newPasswordFor(terminal, given);
        await bringApprovals(cluster, approval);
        const whose = onHsm(user);
        if (password !== undefined)
          await cluster.sendToAll('User change-mfa', 'changePassword', { ...whose, password });
        else
          await cluster.sendToAll('User change-mfa', 'changeSecondFactor', {
            ...whose,
            secondFactor: undefined,
          });
        return answer(user);
      }
      const newPassword = await newPasswordFor(terminal, given);
      const signatureOn = await signChallenges(cluster, terminal, token);
      const publicKey = await askForPublicKey(terminal);
      await bringApprovals(cluster, approval);
      await cluster.onAll('User change-mfa', (connection) =>
        connection.send('changePassword', {
          ...onHsm(user),
          password: newPassword,
          secondFactor: { publicKey, signature: signatureOn(connection) },
        }),
      );
      return answer(user);
    },
  }),
  registering('register'),
  registering('activate'),
];
