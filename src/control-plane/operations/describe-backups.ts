import type { Operation } from '../state/context.js';
import type { BackupRecord } from '../state/records.js';
import { backupView } from '../state/views.js';
import { type FilterRows, filtered, isIn } from './finding.js';
import { isSharedWith } from './sharing.js';

const STANDARD_PAGE = 50;

const filters: FilterRows<BackupRecord> = {
  backupIds: ({ id }) => [id],
  sourceBackupIds: ({ copy }) => [copy?.sourceBackup],
  clusterIds: ({ clusterId }) => [clusterId],
  states: ({ state }) => [state],
  neverExpires: ({ neverExpires }) => [String(neverExpires)],
};

/** `true` and `True` are the same: both are written in the documentation. */
function lowerCaseFlags(given: Record<string, string[]> | undefined): Record<string, string[]> | undefined {
  const { neverExpires } = given ?? {};
  if (given === undefined || neverExpires === undefined) return given;
  return { ...given, neverExpires: neverExpires.map((value) => value.toLowerCase()) };
}

/** The newest first, unless asked otherwise. */
export const describeBackups: Operation<'DescribeBackups'> = async (input, caller, { catalogue, pages }) => {
  const { Filters, MaxResults: maxResults = STANDARD_PAGE, NextToken: token } = input;
  const { Shared: shared = false, SortAscending: ascending = false } = input;
  const visible = catalogue
    .all('backup')
    .filter((backup) =>
      shared ? isSharedWith(backup, caller, 'cloudhsm:DescribeBackups') : isIn(caller, backup),
    );
  const { items, nextToken } = pages.page({
    query: ['DescribeBackups', caller.account, caller.region, Filters ?? {}, shared, ascending],
    items: filtered(visible, lowerCaseFlags(Filters), filters),
    positionOf: ({ createdMs, id }) => [createdMs, id],
    descending: !ascending,
    maxResults,
    token,
  });
  return { Backups: items.map(backupView), NextToken: nextToken };
};
