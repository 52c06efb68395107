import type { Operation } from '../state/context.js';
import { backupView } from '../state/views.js';
import { findBackup, requireState } from './finding.js';

export const modifyBackupAttributes: Operation<'ModifyBackupAttributes'> = (input, caller, { catalogue }) =>
  catalogue.transaction((tx) => {
    const backup = findBackup(tx, caller, input.BackupId);
    requireState('Backup', backup, 'READY');
    const modified = { ...backup, neverExpires: input.NeverExpires };
    tx.put('backup', modified);
    return { Backup: backupView(modified) };
  });
