import { backupsPage, type ListedBackup } from '../backups.js';
import { askEngine } from '../control.js';
import type { Home } from '../home.js';

/** What the service keeps. Throws NOT_RUNNING. */
export async function backupsCommand(home: Home, json: boolean): Promise<void> {
  const backups = await askEngine<readonly ListedBackup[]>(home, 'GET', '/backups');
  console.log(json ? JSON.stringify(backups, null, 2) : backupsPage(backups));
}
