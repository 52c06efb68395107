import { Failure } from '../../base/errors.js';
import { digest } from '../../crypto/index.js';
import { type HsmResponse, hsmResponses } from '../hsm-responses.js';
import { type Role, roleRows } from '../roles.js';
import type { AuditEntry, AuditRecord } from './entry.js';
import { type LogType, logTypes, type Opcode, opcodes } from './opcodes.js';
import { TextWriter } from './text-writer.js';

/*
 * Records that were written together, as they are kept (docs/STORAGE.md, "Audit records"): the hash of the block before, then JSON.
 */

export const HASH_BYTES = 32;

export const hashOf = (block: Buffer): Buffer => digest('sha256', block);
export const previousHashOf = (block: Buffer): Buffer => block.subarray(0, HASH_BYTES);

/** A record in its block, by the numbers that the log shows; at the end the user's name and role, or the two handles. */
type Row = readonly [
  timeUs: number,
  sessionHandle: number,
  opcode: number,
  response: number,
  logType: number,
  ...about: readonly [] | readonly [name: string, role: Role] | readonly [secret: number, publicKey: number],
];

interface Block {
  /** Of its first record. */
  readonly sequence: number;
  readonly rebootCounter: number;
  readonly records: readonly Row[];
}

/** Writes a `Row`, as JSON.stringify would. */
function writeRow(
  to: TextWriter,
  { timeUs, sessionHandle, opcode, response, logType, user, keys }: AuditEntry,
): void {
  to.integer('[', timeUs).integer(',', sessionHandle).integer(',', opcodes[opcode]);
  to.integer(',', hsmResponses[response].number).integer(',', logTypes[logType]);
  if (user !== undefined) to.text(`,${JSON.stringify(user.name)},"${user.role}"`);
  if (keys !== undefined) to.integer(',', keys.secret).integer(',', keys.public);
  to.mark(']');
}

const writer = new TextWriter();

const byNumber = <Name extends string>(numbers: readonly (readonly [Name, number])[]) =>
  new Map(numbers.map(([name, number]) => [number, name]));
const opcodeNames = byNumber(Object.entries(opcodes) as [Opcode, number][]);
const logTypeNames = byNumber(Object.entries(logTypes) as [LogType, number][]);
const responseNames = byNumber(
  Object.entries(hsmResponses).map(([name, { number }]) => [name as HsmResponse, number]),
);

const isNumber = (value: unknown): boolean => Number.isSafeInteger(value) && (value as number) >= 0;
/** Earlier builds wrote what programs took for handles as well, rounded: CK_ULONGs beyond 2^53. */
const isHandle = (value: unknown): boolean => Number.isInteger(value) && (value as number) >= 0;

/** Whether what was read is a record that some version has written. */
function isRecord({ opcode, response, logType, user, keys, ...numbers }: Partial<AuditRecord>): boolean {
  const { sequence, rebootCounter, timeUs, sessionHandle } = numbers;
  return (
    [sequence, rebootCounter, timeUs, sessionHandle].every(isNumber) &&
    Object.hasOwn(opcodes, opcode ?? '') &&
    Object.hasOwn(hsmResponses, response ?? '') &&
    Object.hasOwn(logTypes, logType ?? '') &&
    (user === undefined || (typeof user?.name === 'string' && Object.hasOwn(roleRows, user.role))) &&
    (keys === undefined || (isHandle(keys?.secret) && isHandle(keys?.public)))
  );
}

function recordOf(row: Row, sequence: number, rebootCounter: number): Partial<AuditRecord> {
  const [timeUs, sessionHandle, opcode, response, logType, ...about] = row;
  const [first, second] = about;
  return {
    sequence,
    rebootCounter,
    timeUs,
    sessionHandle,
    response: responseNames.get(response)!,
    opcode: opcodeNames.get(opcode)!,
    logType: logTypeNames.get(logType)!,
    ...(typeof first === 'string' && { user: { name: first, role: second as Role } }),
    ...(typeof first === 'number' && { keys: { secret: first, public: second as number } }),
  };
}

/** @param sequence of the first entry: the others follow without gaps */
export function encodeBlock(
  previousHash: Buffer,
  sequence: number,
  rebootCounter: number,
  entries: readonly AuditEntry[],
): Buffer {
  // What is left of a block that was not finished is none of this one.
  writer.restart();
  writer.text(`{"sequence":${sequence},"rebootCounter":${rebootCounter},"records":[`);
  for (const [at, entry] of entries.entries()) {
    if (at > 0) writer.mark(',');
    writeRow(writer, entry);
  }
  writer.text(']}');
  return Buffer.concat([previousHash, writer.written()]);
}

function recordsIn(bytes: Buffer): readonly Partial<AuditRecord>[] {
  const block = JSON.parse(bytes.subarray(HASH_BYTES).toString('utf8')) as Block | AuditRecord;
  // Earlier builds kept each record by itself, under its names.
  if ('opcode' in block) return [block];
  const { sequence, rebootCounter, records } = block;
  return records.map((row, at) => (Array.isArray(row) ? recordOf(row, sequence + at, rebootCounter) : {}));
}

/**
 * The records of a block, the first of which has the number `first`. Throws CORRUPT_STORE, with the number of the record that means
 * nothing.
 */
export function decodeBlock(bytes: Buffer, first: number): AuditRecord[] {
  let records: readonly Partial<AuditRecord>[] = [];
  try {
    records = recordsIn(bytes);
  } catch {
    // Whatever it is, it is no block.
  }
  const wrong = records.findIndex((record) => !isRecord(record));
  if (records.length > 0 && wrong < 0) return records as AuditRecord[];
  throw new Failure(
    'CORRUPT_STORE',
    `record ${first + Math.max(wrong, 0)} of the audit log means nothing here`,
  );
}
