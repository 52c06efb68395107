import { DELETION_WINDOW_MS } from '../state/backups.js';
import type { Operation } from '../state/context.js';
import { moveBackup } from '../state/lifecycles.js';
import { backupView } from '../state/views.js';
import { findBackup, requireState } from './finding.js';

export const deleteBackup: Operation<'DeleteBackup'> = (input, caller, { catalogue, time }) =>
  catalogue.transaction((tx) => {
    const backup = findBackup(tx, caller, input.BackupId);
    requireState('Backup', backup, 'READY');
    const nowMs = time.nowMs();
    const pending = {
      ...moveBackup(backup, 'PENDING_DELETION', nowMs),
      deleteAtMs: nowMs + DELETION_WINDOW_MS,
    };
    tx.put('backup', pending);
    return { Backup: backupView(pending) };
  });
