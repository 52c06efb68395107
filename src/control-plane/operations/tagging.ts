import { notFound, ServiceError } from '../service/errors.js';
import type { ValueOf } from '../service/shape.js';
import type { Tag } from '../service/shapes.js';
import type { Transaction } from '../state/catalogue.js';
import type { Realm, TagRecord } from '../state/records.js';
import { findBackup, findCluster } from './finding.js';

/** "50 tags per resource". */
const MOST_TAGS = 50;

/** The tags with these set: a key that is there keeps its place in the list. */
export function withTags(tags: readonly TagRecord[], added: readonly ValueOf<typeof Tag>[]): TagRecord[] {
  const result = [...tags];
  const keys = new Set<string>();
  for (const { Key: key, Value: value } of added) {
    if (/^aws:/i.test(key))
      throw new ServiceError('CloudHsmTagException', `Tag keys that begin with aws: are reserved: ${key}`);
    if (keys.has(key)) throw new ServiceError('CloudHsmTagException', `Tag key ${key} is given twice.`);
    keys.add(key);
    const at = result.findIndex((tag) => tag.key === key);
    if (at < 0) result.push({ key, value, ordinal: (result.at(-1)?.ordinal ?? 0) + 1 });
    else result[at] = { ...result[at]!, value };
  }
  if (result.length > MOST_TAGS)
    throw new ServiceError(
      'CloudHsmResourceLimitExceededException',
      `A resource has at most ${MOST_TAGS} tags.`,
    );
  return result;
}

/** Changes the tags of a cluster or a backup. */
export function changeTags(
  tx: Transaction,
  caller: Realm,
  id: string,
  change: (tags: readonly TagRecord[]) => TagRecord[],
): void {
  if (id.startsWith('cluster-')) {
    const cluster = findCluster(tx, caller, id);
    tx.put('cluster', { ...cluster, tags: change(cluster.tags) });
  } else {
    const backup = findBackup(tx, caller, id);
    if (backup.state === 'DELETED') throw notFound(`Backup ${id}`);
    tx.put('backup', { ...backup, tags: change(backup.tags) });
  }
}
