import {
  BACKUP_INTERVAL_MS,
  backupsOf,
  beginBackup,
  DELETION_WINDOW_MS,
  expiries,
  liveHsms,
} from '../state/backups.js';
import type { Context } from '../state/context.js';
import { clusterLifecycle, moveBackup, moveCluster } from '../state/lifecycles.js';
import type { ClusterRecord } from '../state/records.js';
import type { Job } from '../state/scheduler.js';
import { hsmJobs } from './hsm-jobs.js';
import { type Change, change, migrate } from './migration.js';

const finishCreation: Change = (cluster, tx, nowMs) =>
  tx.put(
    'cluster',
    moveCluster(cluster, cluster.sourceBackup === undefined ? 'UNINITIALIZED' : 'ACTIVE', nowMs),
  );

const finishDeletion: Change = (cluster, tx, nowMs) =>
  tx.put('cluster', moveCluster(cluster, 'DELETED', nowMs));

async function initialize(context: Context, cluster: ClusterRecord): Promise<void> {
  for (const { id } of cluster.hsms) await context.host.initialize(id, cluster.trust!);
  await change(context, cluster, (now, tx, nowMs) =>
    tx.put('cluster', { ...moveCluster(now, 'INITIALIZED', nowMs), identity: undefined }),
  );
  await noticeActivation(context, cluster.id);
}

/** An initialised cluster whose first password was changed is active, and backed up. */
export async function activate({ catalogue, time }: Context, hsmId: string): Promise<void> {
  await catalogue.transaction((tx) => {
    const cluster = tx.all('cluster').find(({ hsms }) => hsms.some(({ id }) => id === hsmId));
    if (cluster?.state !== 'INITIALIZED') return;
    const nowMs = time.nowMs();
    const active = { ...moveCluster(cluster, 'ACTIVE', nowMs), lastUsedMs: nowMs };
    const hsm = active.hsms.find(({ id }) => id === hsmId)!;
    beginBackup(tx, active, hsm, time.nowMs());
  });
}

/** For activations that came when the API was not there, or not ready for them. */
export async function noticeActivation(context: Context, clusterId: string): Promise<void> {
  const cluster = context.catalogue.get('cluster', clusterId);
  if (cluster?.state !== 'INITIALIZED') return;
  for (const { id, state } of cluster.hsms)
    if (state === 'ACTIVE' && (await context.host.isActivated(id))) await activate(context, id);
}

/** One that is on its way still, because the archive is away, will have the content of when it is taken: no second one waits with it. */
const dailyBackup: Change = (cluster, tx, nowMs) => {
  const [live] = liveHsms(cluster);
  if (live === undefined || (cluster.lastBackupMs ?? 0) + BACKUP_INTERVAL_MS > nowMs) return;
  const isOnItsWay = backupsOf(tx, cluster.id).some(
    ({ state, fromHsm }) => state === 'CREATE_IN_PROGRESS' && fromHsm === live.id,
  );
  if (isOnItsWay) tx.put('cluster', { ...cluster, lastBackupMs: nowMs });
  else beginBackup(tx, cluster, live, nowMs);
};

/** Backups past the cluster's retention go the way of those that somebody deletes. */
const expire: Change = (cluster, tx, nowMs) => {
  for (const { backup, atMs } of expiries(tx, cluster))
    if (atMs <= nowMs)
      tx.put('backup', {
        ...moveBackup(backup, 'PENDING_DELETION', nowMs),
        deleteAtMs: nowMs + DELETION_WINDOW_MS,
      });
};

/** What passing states of clusters wait for. */
function stateJob(context: Context, cluster: ClusterRecord): Job | undefined {
  const { settings, catalogue } = context;
  const delayMs = settings.awsTiming ? (clusterLifecycle[cluster.state].awsMs ?? 0) : 0;
  const job = (run: () => Promise<void>, afterMs = delayMs): Job => ({
    key: `cluster ${cluster.id}`,
    phase: cluster.state,
    dueMs: cluster.stateSinceMs + afterMs,
    run,
  });
  switch (cluster.state) {
    case 'CREATE_IN_PROGRESS':
      return job(() => change(context, cluster, finishCreation));
    case 'INITIALIZE_IN_PROGRESS':
      return job(() => initialize(context, cluster));
    case 'DELETE_IN_PROGRESS':
      return job(() => change(context, cluster, finishDeletion));
    case 'MODIFY_IN_PROGRESS':
    case 'ROLLBACK_IN_PROGRESS':
      if (cluster.hsms.some(({ state }) => state !== 'ACTIVE')) return undefined;
      return job(() => migrate(context, cluster));
    case 'DELETED':
      return job(() => catalogue.transaction((tx) => tx.remove('cluster', cluster.id)), settings.tombstoneMs);
    default:
      return undefined;
  }
}

/** What recurs while a cluster is there. */
function recurringJobs(context: Context, cluster: ClusterRecord): Job[] {
  if (cluster.state === 'DELETED' || cluster.state === 'DELETE_IN_PROGRESS') return [];
  const jobs: Job[] = [];
  if (cluster.state === 'ACTIVE' && liveHsms(cluster).length > 0)
    jobs.push({
      key: `daily backup ${cluster.id}`,
      dueMs: (cluster.lastBackupMs ?? cluster.stateSinceMs) + BACKUP_INTERVAL_MS,
      run: () => change(context, cluster, dailyBackup),
    });
  const due = expiries(context.catalogue, cluster).map(({ atMs }) => atMs);
  if (due.length > 0)
    jobs.push({
      key: `retention ${cluster.id}`,
      dueMs: Math.min(...due),
      run: () => change(context, cluster, expire),
    });
  return jobs;
}

/** What a cluster and its HSMs wait for. `failuresOf` tells how often a job has failed. */
export function clusterJobs(
  context: Context,
  cluster: ClusterRecord,
  failuresOf: (key: string) => number,
): Job[] {
  const job = stateJob(context, cluster);
  return [
    ...(job === undefined ? [] : [job]),
    ...recurringJobs(context, cluster),
    ...hsmJobs(context, cluster, failuresOf),
  ];
}
