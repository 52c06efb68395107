import { Failure } from '../../base/errors.js';
import type { HsmConnection } from '../../hsm/hsm.js';
import { hsmErrorName, hsmErrors, shortErrorText } from '../sdk3/hsm-errors.js';
import type { CommandRow, Given } from './command.js';
import type { Server, Session } from './session.js';

/*
 * From one HSM to another, also of another cluster, as long as both have the same masking key (reference management-tools, section
 * 7.2). One HSM of the other cluster is enough: it tells its cluster's others.
 */

const destination = { name: 'destination-server', kind: 'number' } as const;

interface Ends {
  readonly source: HsmConnection;
  readonly target: HsmConnection;
}

/** The server that we are on, and the one that is named. */
function endsOf(session: Session, given: Given): Ends | undefined {
  const target: Server | undefined = session.servers[given.number(destination.name)];
  if (target === undefined || target === session.mode) {
    session.print('the destination is the number of another server: `info server` lists them');
    return undefined;
  }
  const source = session.connectionTo(session.mode!);
  const connection = session.connectionTo(target);
  return source && connection && { source, target: connection };
}

/** Runs one half, and says with which code it ended; whether to go on. */
async function step<T>(session: Session, name: string, work: () => Promise<T>): Promise<T | undefined> {
  try {
    const done = await work();
    session.print(`${name}: 0x0 !`);
    return done;
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    session.print(
      `${name}: 0x${hsmErrors[hsmErrorName(error)].number.toString(16)} !`,
      shortErrorText(error),
    );
    return undefined;
  }
}

interface Travel {
  extract(source: HsmConnection): Promise<Buffer>;
  insert(target: HsmConnection, masked: Buffer): Promise<void>;
}

async function travel(
  session: Session,
  { source, target }: Ends,
  command: string,
  way: Travel,
): Promise<void> {
  const masked = await step(session, 'ExtractMaskedObject', () => way.extract(source));
  const done =
    masked !== undefined &&
    (await step(session, 'InsertMaskedObject', async () => {
      await way.insert(target, masked);
      return true;
    }));
  session.print(`${command} ${done ? 'success' : 'failed'}`);
}

const syncKey: CommandRow = {
  name: 'syncKey',
  purpose: 'copies a key to another HSM, under the same handle; its users must be there',
  who: 'CO any key; CU its own',
  arguments: [{ name: 'key-handle', kind: 'number' }, destination],
  serverMode: true,
  run: async (session, given) => {
    const ends = endsOf(session, given);
    if (ends === undefined) return;
    await travel(session, ends, 'syncKey', {
      extract: async (source) => source.send('extractMaskedObject', { handle: given.number('key-handle') }),
      insert: async (target, masked) => target.send('insertMaskedObject', { masked }),
    });
  },
};

const syncUser: CommandRow = {
  name: 'syncUser',
  purpose: 'copies a user to another HSM, with its id and its password',
  who: 'CO',
  arguments: [{ name: 'user-id', kind: 'number' }, destination],
  serverMode: true,
  run: async (session, given) => {
    const ends = endsOf(session, given);
    if (ends === undefined) return;
    const id = given.number('user-id');
    const users = await ends.source.send('listUsers', undefined);
    const user = users.find((one) => one.id === id);
    if (user === undefined) {
      session.print(`there is no user with the id ${id}`, 'syncUser failed');
      return;
    }
    const { name, role } = user;
    await travel(session, ends, 'syncUser', {
      extract: async (source) => source.send('extractMaskedUser', { name, role }),
      insert: async (target, masked) => target.send('insertMaskedUser', { masked }),
    });
  },
};

export const synchronizeCommands: readonly CommandRow[] = [syncKey, syncUser];
