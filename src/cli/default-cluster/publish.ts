import { rmSync } from 'node:fs';
import { describeError } from '../../base/errors.js';
import { writePrivateFile } from '../../base/files.js';
import type { Log } from '../../base/log.js';
import type { Catalogue } from '../../control-plane/state/catalogue.js';
import type { ClusterRecord } from '../../control-plane/state/records.js';
import { type ClusterFile, readClusterFile } from '../cluster-file.js';
import type { Home } from '../home.js';
import { readPlan } from './plan.js';

/** Nobody can use it yet. */
const unfinished: readonly ClusterRecord['state'][] = [
  'CREATE_IN_PROGRESS',
  'UNINITIALIZED',
  'INITIALIZE_IN_PROGRESS',
];

const fileOf = ({ id, hsmType, mode, hsms }: ClusterRecord): Omit<ClusterFile, 'version'> => ({
  formatVersion: 1,
  id,
  hsmType,
  mode,
  hsms: hsms
    .filter(({ state }) => state === 'ACTIVE' || state === 'DEGRADED')
    .map(({ id: hsmId, ordinal, eniIp }) => ({ id: hsmId, ordinal, eniIp }))
    .sort((one, other) => one.ordinal - other.ordinal),
});

function write(home: Home, cluster: ClusterRecord): void {
  const now = fileOf(cluster);
  const { version = 0, ...before } = readClusterFile(home) ?? {};
  // Nothing is written to start again as it was: a full disk stops no home.
  if (JSON.stringify(before) === JSON.stringify(now)) return;
  writePrivateFile(home.clusterFile, `${JSON.stringify({ ...now, version: version + 1 }, null, 2)}\n`);
}

/** Keeps cluster.json as the catalogue has the default cluster: other processes read there which HSMs it has. */
export function publishCluster(home: Home, catalogue: Catalogue, log: Log): void {
  const publish = (): void => {
    const id = readPlan(home)?.clusterId;
    if (id === undefined) return;
    const cluster = catalogue.get('cluster', id);
    if (cluster !== undefined && unfinished.includes(cluster.state)) return;
    if (cluster === undefined || cluster.state === 'DELETED') rmSync(home.clusterFile, { force: true });
    else write(home, cluster);
  };
  publish();
  catalogue.onCommit((changes) => {
    if (!changes.some(({ kind }) => kind === 'cluster')) return;
    try {
      publish();
    } catch (error) {
      log.error(`cluster.json is not as the API has the cluster: ${describeError(error)}`);
    }
  });
}
