import type { BackupLocation } from '../control-plane/backup-archive.js';
import type { BackupRecord } from '../control-plane/state/records.js';
import { bold, table } from './terminal.js';

/** A backup as `cloudhsm-local backups` shows it. */
export interface ListedBackup {
  readonly id: string;
  readonly state: BackupRecord['state'];
  readonly account: string;
  readonly region: string;
  readonly clusterId: string;
  readonly hsmType: string;
  readonly mode: string;
  readonly createdAt: string;
  readonly deleteAt?: string;
  /** Of a copy: what it is a copy of. */
  readonly sourceBackup?: string;
  /** Where its bytes are; none when they are gone, or not there yet. */
  readonly place?: string;
}

const timeText = (ms: number): string => new Date(ms).toISOString();

/** Oldest first. */
export function listedBackups(
  records: readonly BackupRecord[],
  archive: { place(at: BackupLocation): string | undefined },
): ListedBackup[] {
  return [...records]
    .sort((one, other) => one.createdMs - other.createdMs || (one.id < other.id ? -1 : 1))
    .map((record): ListedBackup => {
      const { id, state, account, region, clusterId, hsmType, mode, createdMs, deleteAtMs, copy } = record;
      const isKept = state === 'READY' || state === 'PENDING_DELETION';
      const place = isKept ? archive.place({ account, region, backupId: id }) : undefined;
      return {
        id,
        state,
        account,
        region,
        clusterId,
        hsmType,
        mode,
        createdAt: timeText(createdMs),
        ...(deleteAtMs !== undefined && { deleteAt: timeText(deleteAtMs) }),
        ...(copy !== undefined && { sourceBackup: copy.sourceBackup }),
        ...(place !== undefined && { place }),
      };
    });
}

const headings = ['BACKUP', 'STATE', 'CLUSTER', 'HSM TYPE', 'MODE', 'REGION', 'CREATED', 'KEPT IN'];

export function backupsPage(backups: readonly ListedBackup[]): string {
  if (backups.length === 0)
    return 'There are no backups: the service makes them when a cluster is activated, when HSMs come and go, and once a day.';
  const rows = backups.map(({ id, state, clusterId, hsmType, mode, region, createdAt, place = '-' }) => [
    id,
    state,
    clusterId,
    hsmType,
    mode,
    region,
    createdAt,
    place,
  ]);
  const [first, ...rest] = table([headings, ...rows]).split('\n');
  return [bold(first!), ...rest].join('\n');
}
