import { Failure } from '../../base/errors.js';
import type { HsmConnection } from '../../hsm/hsm.js';
import type { Role } from '../../hsm/roles.js';
import type { UserInfo } from '../../hsm/user-records.js';
import { refused } from '../failure.js';
import { shortErrorText } from '../sdk3/hsm-errors.js';
import { roleOf } from '../sdk3/users.js';
import type { CommandRow, Given } from './command.js';
import { chosen, passwordOf } from './questions.js';
import { askForSignatures, type Signatures } from './second-factor.js';
import type { Server, Session } from './session.js';

const whom = [
  { name: 'user-type', kind: 'userType' },
  { name: 'user-name', kind: 'userName' },
] as const;
const withPassword = [...whom, { name: 'password', kind: 'password' }] as const;

function userOf(given: Given) {
  const userType = given.text('user-type');
  return { userType, name: given.text('user-name'), role: roleOf(userType)! };
}

/** "2FA is for COs only" in this tool (section 1.4). Throws REFUSED. */
async function signaturesFor(session: Session, given: Given): Promise<Signatures | undefined> {
  const { secondFactorFile } = given;
  if (secondFactorFile === undefined) return undefined;
  if (userOf(given).role === 'CU') throw refused('-2fa is for COs only');
  return askForSignatures(session, secondFactorFile);
}

const loginHSM: CommandRow = {
  name: 'loginHSM',
  purpose: 'logs in to the HSMs',
  who: 'all users',
  arguments: withPassword,
  secondFactor: true,
  run: async (session, given) => {
    const { userType, name, role } = userOf(given);
    const password = await passwordOf(session, given);
    if (password === undefined) return;
    const signatures = await signaturesFor(session, given);
    session.print('');
    await session.each('loginHSM', async (connection, server) => {
      const signature = signatures?.signature(connection.hsmId);
      await connection.send('login', { name, role, password, signature });
      server.login = { name, userType };
      session.print(`loginHSM success${session.on(server)}`);
    });
  },
};

const logoutHSM: CommandRow = {
  name: 'logoutHSM',
  purpose: 'logs out from the HSMs',
  who: 'all users',
  arguments: [],
  run: async (session) => {
    session.print('');
    await session.each('logoutHSM', async (connection, server) => {
      await connection.send('logout', undefined);
      server.login = undefined;
      session.print(`logoutHSM success${session.on(server)}`);
    });
  },
};

const yesNo = (value: boolean): string => (value ? 'YES' : 'NO');

/** "%10d" + 14 spaces + "%-16s%-40s%3s%16d%17s" (reference management-tools, section 4.3). */
function userLine({ id, role, name, quorumKey, wrongPasswords, secondFactor }: UserInfo): string {
  const columns = [role.padEnd(16), name.padEnd(40), yesNo(quorumKey).padStart(3)];
  const numbers = [String(wrongPasswords).padStart(16), yesNo(secondFactor).padStart(17)];
  return `${String(id).padStart(10)}${' '.repeat(14)}${[...columns, ...numbers].join('')}`;
}

const USERS_HEADER =
  '    User Id             User Type       User Name                          MofnPubKey    LoginFailureCnt         2FA';

const listUsers: CommandRow = {
  name: 'listUsers',
  purpose: 'lists all users of the HSMs',
  who: 'everybody, also without a login',
  arguments: [],
  run: (session) =>
    session.each('listUsers', async (connection, server) => {
      const users = await connection.send('listUsers', undefined);
      session.print(
        `Users on ${server.title}:`,
        `Number of users found:${users.length}`,
        '',
        USERS_HEADER,
        ...users.map(userLine),
      );
    }),
};

type OnServer = (connection: HsmConnection, server: Server) => Promise<void>;

/** "Retry/Ignore/Abort": what fails on one server is for somebody to decide (section 4.1). */
async function createEverywhere(session: Session, create: OnServer): Promise<void> {
  for (const server of session.targets) {
    const connection = session.connectionTo(server);
    for (let again = connection !== undefined; again && connection !== undefined; ) {
      again = false;
      try {
        await create(connection, server);
        session.print(`createUser success${session.on(server)}`);
      } catch (error) {
        if (!(error instanceof Failure)) throw error;
        session.print(
          `createUser failed: ${shortErrorText(error)}`,
          `creating user${session.on(server)} failed`,
          '',
        );
        const answer = await chosen(session, 'Retry/Ignore/Abort?(R/I/A):', ['R', 'I', 'A']);
        if (answer === undefined || answer === 'A') return;
        again = answer === 'R';
      }
    }
  }
}

/** One for all servers: a server that was away when a user was deleted does not know of it. */
async function generationOfNew(session: Session, name: string): Promise<number> {
  const generations = session.reachable.map(async ({ connection }) => {
    const next = await connection?.send('nextGeneration', { name });
    return next?.generation ?? 0;
  });
  const known = await Promise.allSettled(generations);
  return Math.max(0, ...known.map((next) => (next.status === 'fulfilled' ? next.value : 0)));
}

const createUser: CommandRow = {
  name: 'createUser',
  purpose: 'creates a user on the HSMs',
  who: 'CO',
  arguments: withPassword,
  secondFactor: true,
  critical: true,
  run: async (session, given) => {
    const { userType, name, role } = userOf(given);
    const password = await passwordOf(session, given);
    if (password === undefined) return;
    session.print(`Creating User ${name}(${userType}) on ${session.reachable.length} nodes`);
    const signatures = await signaturesFor(session, given);
    const generation = await generationOfNew(session, name);
    await createEverywhere(session, async (connection) => {
      const secondFactor = signatures?.secondFactor(connection.hsmId);
      await connection.send('createUser', { name, role, password, secondFactor, generation });
    });
  },
};

const changePswd: CommandRow = {
  name: 'changePswd',
  purpose: "changes a user's password, which unlocks the user",
  who: 'all users their own; CO those of COs and CUs',
  arguments: withPassword,
  secondFactor: true,
  critical: true,
  run: async (session, given) => {
    const { userType, name, role } = userOf(given);
    const password = await passwordOf(session, given);
    if (password === undefined) return;
    session.print(`Changing password for ${name}(${userType}) on ${session.reachable.length} nodes`);
    const signatures = await signaturesFor(session, given);
    await session.each('changePswd', async (connection, server) => {
      const secondFactor = signatures?.secondFactor(connection.hsmId);
      await connection.send('changePassword', { name, role, password, secondFactor });
      session.print(`changePswd success${session.on(server)}`);
    });
  },
};

/** What has been deleted so far, to be put back. */
type Deleted = { readonly server: Server; readonly masked: Buffer }[];

/** None of a user that cannot be deleted: the HSM says why when it is asked to. */
async function maskedUser(connection: HsmConnection, name: string, role: Role): Promise<Buffer | undefined> {
  try {
    return await connection.send('extractMaskedUser', { name, role });
  } catch (error) {
    if (error instanceof Failure) return undefined;
    throw error;
  }
}

async function rollBack(session: Session, deleted: Deleted): Promise<void> {
  for (const { server, masked } of deleted) {
    try {
      await server.connection?.send('insertMaskedUser', { masked });
      session.print(`rollBack success${session.on(server)}`);
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      session.printFailure('rollBack', server, error);
    }
  }
}

const deleteUser: CommandRow = {
  name: 'deleteUser',
  purpose: 'deletes a user from the HSMs',
  who: 'CO',
  arguments: whom,
  run: async (session, given) => {
    const { userType, name, role } = userOf(given);
    session.print(`Deleting user ${name}(${userType}) on ${session.reachable.length} nodes`);
    const deleted: Deleted = [];
    for (const server of session.targets) {
      const connection = session.connectionTo(server);
      for (let again = connection !== undefined; again && connection !== undefined; ) {
        again = false;
        try {
          const masked = await maskedUser(connection, name, role);
          await connection.send('deleteUser', { name, role });
          if (masked !== undefined) deleted.push({ server, masked });
          session.print(`deleteUser success${session.on(server)}`);
        } catch (error) {
          if (!(error instanceof Failure)) throw error;
          session.printFailure('deleteUser', server, error);
          session.print('');
          const answer = await chosen(session, 'Retry/rollBack/Ignore?(R/B/I):', ['R', 'B', 'I']);
          again = answer === 'R';
          if (answer === 'B') return rollBack(session, deleted);
        }
      }
    }
  },
};

export const userCommands: readonly CommandRow[] = [
  loginHSM,
  logoutHSM,
  listUsers,
  createUser,
  deleteUser,
  changePswd,
];
