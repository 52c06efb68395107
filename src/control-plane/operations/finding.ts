import { invalidRequest, notFound } from '../service/errors.js';
import type { Catalogue, Transaction } from '../state/catalogue.js';
import type { BackupRecord, ClusterRecord, Realm } from '../state/records.js';

/* What operations have in common: whose things they find, and in which state those must be. */

type Source = Pick<Catalogue | Transaction, 'get'>;

export const isIn = (realm: Realm, record: Realm): boolean =>
  record.account === realm.account && record.region === realm.region;

/** The caller's cluster. Throws CloudHsmResourceNotFoundException. */
export function findCluster(from: Source, caller: Realm, id: string): ClusterRecord {
  const cluster = from.get('cluster', id);
  if (cluster === undefined || !isIn(caller, cluster) || cluster.state === 'DELETED')
    throw notFound(`Cluster ${id}`);
  return cluster;
}

/** The caller's backup. Throws CloudHsmResourceNotFoundException. */
export function findBackup(from: Source, caller: Realm, id: string): BackupRecord {
  const backup = from.get('backup', id);
  if (backup === undefined || !isIn(caller, backup)) throw notFound(`Backup ${id}`);
  return backup;
}

/** Throws CloudHsmInvalidRequestException unless the record is in one of these states. */
export function requireState<S extends string>(
  what: 'Cluster' | 'Backup',
  record: { readonly id: string; readonly state: S },
  ...states: readonly S[]
): void {
  if (!states.includes(record.state))
    throw invalidRequest(
      `${what} ${record.id} is in state ${record.state}: the operation needs ${states.join(' or ')}.`,
    );
}

/** What an item has under each name of a filter. */
export type FilterRows<T> = Readonly<Record<string, (item: T) => readonly (string | undefined)[]>>;

/** OR within a filter, AND between filters. Throws CloudHsmInvalidRequestException for a name that is no row. */
export function filtered<T>(
  items: readonly T[],
  filters: Readonly<Record<string, readonly string[]>> | undefined,
  rows: FilterRows<T>,
): T[] {
  const wanted = Object.entries(filters ?? {}).map(([name, values]) => {
    const row = Object.hasOwn(rows, name) ? rows[name] : undefined;
    if (row === undefined)
      throw invalidRequest(`There is no filter ${name}: use ${Object.keys(rows).join(', ')}.`);
    return { row, values: new Set(values) };
  });
  return items.filter((item) =>
    wanted.every(({ row, values }) => row(item).some((value) => value !== undefined && values.has(value))),
  );
}
