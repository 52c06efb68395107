import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { BackupKeys, MANUFACTURER_ID } from '../../src/backup/keys.js';
import { silentLog } from '../../src/base/log.js';
import { restoreHsm } from '../../src/hsm/backup/restore.js';
import { openLmdbStore } from '../../src/store/lmdb-store.js';
import { settingsOf } from './backups.js';

// A process that restores a backup, to be killed meanwhile. Arguments: folder of the store, the backup; by message: the keys.

const [, , directory, file] = process.argv as [string, string, string, string];
const [[mkbk, akbk]] = (await once(process, 'message')) as [[string, string]];
const key = (hex: string): ReadonlyMap<number, Buffer> => new Map([[1, Buffer.from(hex, 'hex')]]);
const backupKeys = new BackupKeys(MANUFACTURER_ID, key(mkbk), key(akbk));
const store = openLmdbStore(directory);
process.send!('begins');
await restoreHsm(store, settingsOf({ backupKeys }), [readFileSync(file)], silentLog);
process.send!('ended');
setInterval(() => undefined, 1000);
