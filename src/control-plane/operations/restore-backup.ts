import type { Operation } from '../state/context.js';
import { moveBackup } from '../state/lifecycles.js';
import { backupView } from '../state/views.js';
import { findBackup, requireState } from './finding.js';

/** Takes back a deletion; no HSM is touched. */
export const restoreBackup: Operation<'RestoreBackup'> = (input, caller, { catalogue, time }) =>
  catalogue.transaction((tx) => {
    const backup = findBackup(tx, caller, input.BackupId);
    requireState('Backup', backup, 'PENDING_DELETION');
    const { deleteAtMs: _, ...restored } = moveBackup(backup, 'READY', time.nowMs());
    tx.put('backup', restored);
    return { Backup: backupView(restored) };
  });
