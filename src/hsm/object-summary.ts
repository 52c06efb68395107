import type { Change, RecordStore } from '../store/record-store.js';
import type { KeptVersions } from './object-versions.js';
import { settingKey } from './setting-rows.js';

/*
 * What an HSM that ends writes of its objects, so that its next start need not look at each of them. It is valid for one start: each
 * start, of earlier builds too, reserves further handles first.
 */

const SUMMARY = settingKey('object-summary');
const RESERVED = settingKey('handles-reserved');

export interface ObjectSummary {
  /** How many there are of each CKA_CLASS. */
  readonly counts: ReadonlyMap<number, number>;
  readonly versions: KeptVersions;
}

/** As it is stored, sealed, in JSON. */
interface StoredSummary {
  /** The setting `handles-reserved` of the run that wrote it, in hexadecimal. */
  readonly reserved: string;
  readonly counts: readonly (readonly [objectClass: number, count: number])[];
  /** Base64. */
  readonly digests: string;
  /** Absent in those of earlier builds. */
  readonly greatest?: number;
}

const reservedIn = (store: RecordStore): string | undefined =>
  store.get('settings', RESERVED)?.toString('hex');

/** The summary, if the run that wrote it was the last one: to be asked for before handles are reserved. */
export function summaryIn(store: RecordStore): ObjectSummary | undefined {
  const value = store.get('settings', SUMMARY);
  if (value === undefined) return undefined;
  const { reserved, counts, digests, greatest } = JSON.parse(value.toString('utf8')) as StoredSummary;
  if (reserved !== reservedIn(store) || greatest === undefined) return undefined;
  return { counts: new Map(counts), versions: { digests: Buffer.from(digests, 'base64'), greatest } };
}

/** To be written when nothing can change any more. */
export function summaryChange(store: RecordStore, { counts, versions }: ObjectSummary): Change {
  const summary: StoredSummary = {
    reserved: reservedIn(store) ?? '',
    counts: [...counts],
    digests: versions.digests.toString('base64'),
    greatest: versions.greatest,
  };
  return { table: 'settings', key: SUMMARY, value: Buffer.from(JSON.stringify(summary)) };
}
