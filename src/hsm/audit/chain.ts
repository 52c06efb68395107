import { setImmediate as otherWork } from 'node:timers/promises';
import { Failure } from '../../base/errors.js';
import type { RecordStore, Snapshot } from '../../store/record-store.js';
import { settingKey } from '../setting-rows.js';
import { decodeBlock, HASH_BYTES, hashOf, previousHashOf } from './block.js';

/** Where the chain's head is, among the settings. */
export const HEAD = settingKey('audit-head');

/** Where the chain stands; sealed, written along with the blocks that it counts. */
export interface Head {
  readonly rebootCounter: number;
  /** The oldest record that is kept, and the hash of the block before its block. */
  readonly first: number;
  readonly firstPrevious: string;
  readonly next: number;
  readonly hash: string;
}

const NO_HASH = Buffer.alloc(HASH_BYTES).toString('hex');
const VERIFIED_AT_A_TIME = 100;

/** The head as it is stored; of a new log where there is none. */
export function headIn(store: Pick<RecordStore, 'get'>): Head {
  const head = store.get('settings', HEAD);
  if (head !== undefined) return JSON.parse(head.toString('utf8')) as Head;
  return { rebootCounter: -1, first: 0, firstPrevious: NO_HASH, next: 0, hash: NO_HASH };
}

/** As `headIn` reads it; JSON.stringify takes twice as long. */
export const encodeHead = ({ rebootCounter, first, firstPrevious, next, hash }: Head): Buffer =>
  Buffer.from(
    `{"rebootCounter":${rebootCounter},"first":${first},"firstPrevious":"${firstPrevious}","next":${next},"hash":"${hash}"}`,
    'latin1',
  );

/** The number of the first record of the block under a key. */
export const sequenceOf = (key: Buffer): number => Number(key.readBigUInt64BE());

/** What was changed of the blocks behind the HSM's back; undefined if nothing was. Others get their turn meanwhile. */
export async function problemOf(snapshot: Snapshot, head: Head): Promise<string | undefined> {
  let sequence = head.first;
  let hash = head.firstPrevious;
  for (const [at, key] of [...snapshot.keys('audit')].entries()) {
    if (at % VERIFIED_AT_A_TIME === 0) await otherWork();
    if (sequenceOf(key) > sequence && sequence < head.next) return `record ${sequence} is missing`;
    if (sequenceOf(key) !== sequence || sequence >= head.next)
      return `record ${sequenceOf(key)} was added by somebody else`;
    const block = refusedAsText(() => snapshot.get('audit', key));
    if (!Buffer.isBuffer(block)) return `record ${sequence} was changed, or comes from elsewhere`;
    if (previousHashOf(block).toString('hex') !== hash)
      return `record ${sequence} does not follow the one before`;
    const records = refusedAsText(() => decodeBlock(block, sequence));
    if (typeof records === 'string') return records;
    for (const record of records)
      if (record.sequence !== sequence++) return `record ${record.sequence} is at a wrong place`;
    hash = hashOf(block).toString('hex');
  }
  if (sequence < head.next) return `record ${sequence} is missing`;
  return hash === head.hash ? undefined : 'the last record is not the one that was written last';
}

/** What was read, or why it cannot be. */
function refusedAsText<T>(read: () => T): T | string {
  try {
    return read();
  } catch (error) {
    if (error instanceof Failure) return error.message;
    throw error;
  }
}
