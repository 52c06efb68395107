import { backupsPage, type ListedBackup } from '../backups.js';
import { askEngine } from '../control.js';
import type { Home } from '../home.js';
import { askEngineOr } from '../stopped-home.js';

export interface BackupsOptions {
  readonly json?: boolean;
  /** What the engine that has ended was given: it says where backups are. */
  readonly config?: string;
}

/** What the service keeps, whether the engine runs or not. Throws NOT_RUNNING for a home that never had one. */
export async function backupsCommand(home: Home, { json, config }: BackupsOptions): Promise<void> {
  const backups = await askEngineOr(
    () => askEngine<readonly ListedBackup[]>(home, 'GET', '/backups'),
    home,
    async () => {
      const { loadConfig } = await import('../../base/config.js');
      const { keptBackups } = await import('../kept-backups.js');
      return keptBackups(home, loadConfig(config, {}).config);
    },
  );
  console.log(json ? JSON.stringify(backups, null, 2) : backupsPage(backups));
}
