/* An engine on a home, as `up` runs it, which backs its first HSM up when it is told to: by itself it does so when the service
 * decides. It says `ready` on its channel, and answers `backup`, `restore` and `end`. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { openBackupKeys } from '../dist/src/backup/keys.js';
import { loadConfig } from '../dist/src/base/config.js';
import { silentLog } from '../dist/src/base/log.js';
import { Applications } from '../dist/src/bridge/applications.js';
import { Libraries } from '../dist/src/bridge/libraries.js';
import { listenForModules } from '../dist/src/bridge/socket-server.js';
import { readClusterFile } from '../dist/src/cli/cluster-file.js';
import { findHome } from '../dist/src/cli/home.js';
import { Cluster } from '../dist/src/cluster/cluster.js';
import { ReadinessRecord } from '../dist/src/cryptoki/readiness.js';
import { restoreHsm } from '../dist/src/hsm/backup/restore.js';
import { Hsm } from '../dist/src/hsm/hsm.js';
import { quotaOf } from '../dist/src/hsm/quotas.js';
import { openLmdbStore } from '../dist/src/store/lmdb-store.js';
import { sealedStore } from '../dist/src/store/sealing.js';

const [, , directory, configFile] = process.argv;
const home = findHome(directory);
const { config } = loadConfig(configFile, {});
const file = readClusterFile(home);
const { profile, keyQuota } = config;
const { hsmType, mode } = file;
const backupKeys = openBackupKeys(home.backupKeyFiles, silentLog);
const shared = {
  hsmType,
  mode,
  profile,
  quota: quotaOf(hsmType, keyQuota),
  certificateStorage: 'off',
  backupKeys,
};
const hsms = [];
for (const { id, ordinal } of file.hsms) {
  const folder = join(home.hsmsDirectory, id);
  const sealingKey = readFileSync(join(folder, 'sealing.key'));
  const store = sealedStore(openLmdbStore(join(folder, 'store')), sealingKey, id);
  hsms.push(await Hsm.open(store, { id, ordinal, ...shared }, silentLog));
}
const cluster = new Cluster({ id: file.id, hsmType, mode }, hsms);
const readiness = new ReadinessRecord(silentLog);
const offer = { clusters: [cluster], profile, readiness };
const libraries = new Libraries(
  offer,
  { configFiles: [home.clientConfigFile], logFile: home.libraryLogFile },
  silentLog,
);
const applications = new Applications((client, clientConfig) => libraries.open(client, clientConfig));
await listenForModules(home.engineSocket, applications, silentLog);

const [hsm] = hsms;
let container = [];

/** How long it takes, and how much more memory there is at most meanwhile. */
async function measured(work) {
  global.gc?.();
  const before = process.memoryUsage.rss();
  let most = before;
  const look = setInterval(() => {
    most = Math.max(most, process.memoryUsage.rss());
  }, 20);
  const started = performance.now();
  await work();
  const seconds = (performance.now() - started) / 1000;
  clearInterval(look);
  return { seconds, memoryBytes: Math.max(most, process.memoryUsage.rss()) - before };
}

async function backUp() {
  container = [];
  for await (const piece of hsm.backUp(file.id)) container.push(piece);
}

/** Into a store of its own, on the home's disk. */
async function restore() {
  const folder = mkdtempSync(join(directory, 'restored-'));
  const key = Buffer.alloc(32, 1);
  const store = sealedStore(openLmdbStore(join(folder, 'store')), key, 'hsm-aaaaaaaaaaa');
  await restoreHsm(store, { ...hsm.settings, id: 'hsm-aaaaaaaaaaa' }, container, silentLog);
  await store.close();
  rmSync(folder, { recursive: true });
}

const sizeOf = () => container.reduce((sum, { length }) => sum + length, 0);
const asked = {
  backup: async () => ({ ...(await measured(backUp)), bytes: sizeOf() }),
  restore: () => measured(restore),
  end: async () => process.exit(0),
};

process.on('message', async (name) => process.send(await asked[name]()));
process.send('ready');
