import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import * as z from 'zod';
import type { Config } from '../base/config.js';
import { commandFailure, describeError } from '../base/errors.js';
import { makeFolder, moveWhole, readFileIfPresent, writePrivateFile } from '../base/files.js';
import { limits } from '../base/limits.js';
import { silentLog } from '../base/log.js';
import type { Peer } from '../cluster/synchronizer.js';
import { newHsmStore } from '../control-plane/hosting/hsm-store.js';
import { newId } from '../control-plane/state/ids.js';
import { restoreHsm } from '../hsm/backup/restore.js';
import { BUCKET_COUNT, isNewer, type ObjectVersion } from '../hsm/object-versions.js';
import {
  type ClusterFile,
  type ClusterMember,
  memberOf,
  requireOwnCluster,
  writeClusterFile,
} from './cluster-file.js';
import { openHsm, settingsOf } from './cluster-home.js';
import { askForBackup } from './control.js';
import type { Home } from './home.js';
import { hsmListener, hsmsHere, lockHsm, stopHsm } from './listeners.js';
import { issueCertificateFor, membersOf, remotePeers, removeCertificateOf, serversOf } from './network.js';

/*
 * HSMs that come to the cluster of a home and leave it, while the others run. cluster.json says which there are; its HSMs look at it
 * every second and tell their clients. A new one gets its content as a new HSM of CloudHSM's does, from a backup of another one, and
 * what was written since from the others when it starts.
 */

const EVERY_BUCKET = Array.from({ length: BUCKET_COUNT }, (_, bucket) => bucket);

/** Of the first HSM here that makes one: while it runs by its process, otherwise by this one. */
async function backupOfOne(home: Home, config: Config, file: ClusterFile): Promise<Buffer> {
  const here = hsmsHere(home);
  let failure: unknown;
  for (const member of file.hsms.filter(({ id }) => here.includes(id))) {
    try {
      return await askForBackup(hsmListener(home, member.id));
    } catch (error) {
      failure = error;
    }
  }
  for (const member of file.hsms.filter(({ id }) => here.includes(id))) {
    try {
      lockHsm(home, member.id);
      const hsm = await openHsm(home, config, file, member, silentLog);
      try {
        const pieces: Buffer[] = [];
        for await (const piece of hsm.backUp(file.id)) pieces.push(piece);
        return Buffer.concat(pieces);
      } finally {
        await hsm.close();
      }
    } catch (error) {
      failure = error;
    }
  }
  const why = failure === undefined ? 'none of them is here' : describeError(failure);
  throw commandFailure('START_FAILED', `no HSM of ${file.id} gives a backup: ${why}`);
}

/** The lowest number that is free: an HSM counts its handles on from where no earlier one of its number can have been. */
function freeOrdinal({ id, hsms }: ClusterFile): number {
  for (let ordinal = 1; ordinal <= limits.hsmsPerCluster; ordinal++)
    if (!hsms.some((member) => member.ordinal === ordinal)) return ordinal;
  throw commandFailure(
    'BAD_CONFIGURATION',
    `${id} has ${limits.hsmsPerCluster} HSMs, and no cluster has more`,
  );
}

const clientConfigSchema = z.looseObject({
  clusters: z.tuple([z.looseObject({ cluster: z.looseObject({}) })], z.unknown()),
});

/** Its list of HSMs, for programs that start later; the rest of the file may be somebody's, and one that is no longer of that form is
 * left as it is. */
function updateClientConfig(home: Home, file: ClusterFile, config: Config): void {
  const path = join(home.certificatesDirectory, 'cloudhsm-pkcs11.cfg');
  const contents = readFileIfPresent(path);
  if (contents === undefined) return;
  let known: z.infer<typeof clientConfigSchema>;
  try {
    known = clientConfigSchema.parse(JSON.parse(contents.toString('utf8')));
  } catch {
    console.error(`warning: ${path} has been changed and is left as it is: enter the servers by hand`);
    return;
  }
  known.clusters[0].cluster['servers'] = serversOf(file, config);
  writePrivateFile(path, `${JSON.stringify(known, null, 2)}\n`);
}

function change(home: Home, config: Config, file: ClusterFile, hsms: ClusterFile['hsms']): ClusterFile {
  const changed = { ...file, version: (file.version ?? 1) + 1, hsms };
  writeClusterFile(home, changed);
  updateClientConfig(home, changed, config);
  return changed;
}

/** Makes one HSM more. It is a member from then on, and used once it runs. Throws BAD_CONFIGURATION, START_FAILED. */
export async function addHsm(
  home: Home,
  config: Config,
  progress: (step: string) => void,
): Promise<{ file: ClusterFile; member: ClusterMember }> {
  const file = requireOwnCluster(home);
  const member = { id: newId('hsm'), ordinal: freeOrdinal(file) };
  await issueCertificateFor(home, file, member.id);
  try {
    progress('making a backup of another HSM');
    const container = await backupOfOne(home, config, file);
    progress(`restoring it on ${member.id}`);
    rmSync(home.newHsmsDirectory, { recursive: true, force: true });
    const store = newHsmStore(home.newHsmsDirectory, member.id);
    try {
      await restoreHsm(store, settingsOf(home, config, file, member, silentLog), [container], silentLog);
    } finally {
      await store.close();
    }
    moveWhole(join(home.newHsmsDirectory, member.id), join(home.hsmsDirectory, member.id));
  } catch (error) {
    removeCertificateOf(home, member.id);
    throw error;
  } finally {
    rmSync(home.newHsmsDirectory, { recursive: true, force: true });
  }
  return { file: change(home, config, file, [...file.hsms, member]), member };
}

/** The versions of all objects of an HSM, after it has caught up with those that run; undefined when it cannot be asked. */
async function versionsOf(
  home: Home,
  config: Config,
  file: ClusterFile,
  { hsmId, connect }: Peer,
): Promise<readonly ObjectVersion[] | undefined> {
  try {
    const connection = await connect();
    try {
      await connection.send('synchronize', undefined);
      return await connection.send('objectVersions', { buckets: EVERY_BUCKET });
    } finally {
      connection.close();
    }
  } catch {
    if (!hsmsHere(home).includes(hsmId)) return undefined;
  }
  try {
    lockHsm(home, hsmId);
    const hsm = await openHsm(home, config, file, memberOf(file, hsmId), silentLog);
    try {
      return hsm.objects.versions.entries(EVERY_BUCKET);
    } finally {
      await hsm.close();
    }
  } catch {
    return undefined;
  }
}

/** No key goes with an HSM. Throws NOT_RUNNING. */
async function requireElsewhere(
  home: Home,
  config: Config,
  file: ClusterFile,
  { id }: ClusterMember,
): Promise<void> {
  const peers = remotePeers(home, id, () => membersOf(file, config))();
  const own = await versionsOf(home, config, file, peers.find(({ hsmId }) => hsmId === id)!);
  if (own === undefined)
    throw commandFailure('NOT_RUNNING', `${id} does not say what it has: start it, or run this where it is`);
  for (const peer of peers.filter(({ hsmId }) => hsmId !== id)) {
    const there = new Map(
      (await versionsOf(home, config, file, peer))?.map((entry) => [entry.handle, entry]) ?? [],
    );
    if (own.every((entry) => !isNewer(entry, there.get(entry.handle)))) return;
  }
  const text = `no other HSM of ${file.id} has all that ${id} has: let them run together, and try again`;
  throw commandFailure('NOT_RUNNING', text);
}

/** Ends an HSM, whose store is put aside: where to. Throws BAD_CONFIGURATION, NOT_RUNNING, START_FAILED. */
export async function removeHsm(
  home: Home,
  config: Config,
  idOrOrdinal: string,
): Promise<{ file: ClusterFile; member: ClusterMember; kept: string | undefined }> {
  const file = requireOwnCluster(home);
  const member = memberOf(file, idOrOrdinal);
  if (file.hsms.length === 1)
    throw commandFailure(
      'BAD_CONFIGURATION',
      `${member.id} is the last HSM of ${file.id}: its keys would go`,
    );
  await requireElsewhere(home, config, file, member);
  const changed = change(
    home,
    config,
    file,
    file.hsms.filter(({ id }) => id !== member.id),
  );
  await stopHsm(home, member.id);
  removeCertificateOf(home, member.id);
  const directory = join(home.hsmsDirectory, member.id);
  if (!existsSync(directory)) return { file: changed, member, kept: undefined };
  makeFolder(home.removedHsmsDirectory, 0o700);
  const kept = join(home.removedHsmsDirectory, member.id);
  moveWhole(directory, kept);
  return { file: changed, member, kept };
}
