import { invalidRequest } from '../service/errors.js';
import type { Operation } from '../state/context.js';
import { newId } from '../state/ids.js';
import type { BackupRecord } from '../state/records.js';
import { backupView, partitionOf } from '../state/views.js';
import { findBackup, requireState } from './finding.js';
import { withTags } from './tagging.js';

/** The copy is found in its region by `sourceBackupIds`; its tags are those given, or the source's. */
export const copyBackupToRegion: Operation<'CopyBackupToRegion'> = (input, caller, { catalogue, time }) =>
  catalogue.transaction((tx) => {
    const { BackupId, DestinationRegion: region, TagList } = input;
    const source = findBackup(tx, caller, BackupId);
    requireState('Backup', source, 'READY');
    if (region === caller.region) throw invalidRequest(`Backup ${BackupId} is in ${region} already.`);
    if (partitionOf(region) !== partitionOf(caller.region))
      throw invalidRequest(`Backups are not copied from ${caller.region} to ${region}: other partition.`);
    const nowMs = time.nowMs();
    const { account, clusterId, hsmType, mode, createdMs, trust } = source;
    const copied: BackupRecord = {
      account,
      region,
      id: newId('backup'),
      state: 'CREATE_IN_PROGRESS',
      stateSinceMs: nowMs,
      clusterId,
      hsmType,
      mode,
      createdMs,
      neverExpires: false,
      trust,
      copy: {
        copiedMs: nowMs,
        sourceRegion: caller.region,
        sourceBackup: BackupId,
        sourceCluster: clusterId,
      },
      tags: TagList === undefined ? source.tags : withTags([], TagList),
    };
    tx.put('backup', copied);
    const { CreateTimestamp, SourceRegion, SourceBackup, SourceCluster } = backupView(copied);
    return { DestinationBackup: { CreateTimestamp, SourceRegion, SourceBackup, SourceCluster } };
  });
