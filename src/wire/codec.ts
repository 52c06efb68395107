import { limits } from '../base/limits.js';
import { isTemplateAttribute } from '../pkcs11/attributes.js';
import { type Field, infoLayouts, type Version } from '../pkcs11/layouts.js';
import {
  type AnyInput,
  type AnyOutput,
  type AttributeAnswer,
  type AttributeQuery,
  type LengthOnly,
  ROOM_QUERY,
  type UpTo,
} from './arguments.js';
import { MalformedFrame, Reader, Writer } from './bytes.js';
import { type ArgumentKind, type ArgumentRow, type CallRow, calls } from './calls.js';
import { readBytes, readMechanism, readTemplate } from './values.js';

export { layoutOrder, parameterForms } from './values.js';

type ReadArgument = (reader: Reader, row: ArgumentRow) => AnyInput[string];
type WriteOutput = (writer: Writer, value: never, row: ArgumentRow) => void;

const NOTHING = Buffer.alloc(0);

function readQuery(reader: Reader, nested = false): AttributeQuery[] {
  const query: AttributeQuery[] = [];
  for (let left = reader.count(limits.templateAttributes, 'attributes'); left > 0; left--) {
    const type = reader.u64();
    const room = reader.room();
    if (nested || room === ROOM_QUERY || !isTemplateAttribute(type)) query.push({ type, room });
    else query.push({ type, room, entries: readQuery(reader, true) });
  }
  return query;
}

const readers: { readonly [Kind in ArgumentKind]?: ReadArgument } = {
  session: (reader) => reader.u64(),
  slot: (reader) => reader.slot(),
  ulong: (reader) => reader.u64(),
  flag: (reader) => reader.u8() !== 0,
  bytes: readBytes,
  text: (reader, row) => reader.bytes(row.size!),
  pointer: (reader) => reader.u8() !== 0,
  mechanism: readMechanism,
  template: (reader) => readTemplate(reader),
  query: (reader) => readQuery(reader),
  room: (reader) => reader.room(),
  list: (reader) => reader.room(),
  slots: (reader) => reader.room(),
  upTo: (reader): UpTo => ({ room: reader.room(), max: reader.u64() }),
  fill: (reader) => reader.u64(),
};

function writeFields(writer: Writer, fields: readonly Field[], value: Record<string, unknown>): void {
  for (const field of fields) {
    const member = value[field.name];
    if (field.kind === 'ulong') writer.u64(member as number);
    else if (field.kind === 'slot') writer.slot(member as number);
    else if (field.kind === 'text') writer.paddedText(member as string, field.size);
    else if (field.kind === 'version') {
      writer.u8((member as Version).major);
      writer.u8((member as Version).minor);
    }
  }
}

function writeRoom(writer: Writer, value: Buffer | LengthOnly): void {
  writer.u64(value.length);
  const bytes = Buffer.isBuffer(value) ? value : NOTHING;
  writer.u32(bytes.length);
  writer.bytes(bytes);
}

const writeList =
  (writeEntry: (writer: Writer, entry: number) => void) =>
  (writer: Writer, value: readonly number[] | LengthOnly): void => {
    writer.u64(value.length);
    const entries: readonly number[] = Array.isArray(value) ? value : [];
    writer.u32(entries.length);
    for (const entry of entries) writeEntry(writer, entry);
  };
const writeUlongs = writeList((writer, entry) => writer.u64(entry));

function writeAnswers(writer: Writer, answers: readonly AttributeAnswer[]): void {
  for (const { lengthBytes, value, entries } of answers) {
    writer.u64(lengthBytes);
    writer.u32(value?.length ?? entries?.length ?? 0);
    if (value !== undefined) writer.bytes(value);
    else if (entries !== undefined) writeEntries(writer, entries);
  }
}

function writeEntries(writer: Writer, entries: NonNullable<AttributeAnswer['entries']>): void {
  for (const { type, lengthBytes, value } of entries) {
    writer.u64(type);
    writer.u64(lengthBytes);
    writer.u32(value?.length ?? 0);
    if (value !== undefined) writer.bytes(value);
  }
}

function writeReturned(writer: Writer, value: Buffer | undefined): void {
  writer.u32(value?.length ?? 0);
  if (value !== undefined) writer.bytes(value);
}

const writers: { readonly [Kind in ArgumentKind]?: WriteOutput } = {
  mechanism: writeReturned,
  query: writeAnswers,
  room: writeRoom,
  list: writeUlongs,
  slots: writeList((writer, entry) => writer.slot(entry)),
  upTo: writeUlongs,
  fill: (writer, value: Buffer) => writer.bytes(value),
  outUlong: (writer, value: number) => writer.u64(value),
  outSlot: (writer, value: number) => writer.slot(value),
  outStruct: (writer, value: Record<string, unknown>, row) =>
    writeFields(writer, infoLayouts[row.layout!], value),
};

type ReadInput = (reader: Reader) => AnyInput;
type WriteOutputs = (writer: Writer, output: AnyOutput) => void;

interface CompiledCall {
  readonly row: CallRow;
  readonly read: ReadInput;
  readonly write: WriteOutputs;
}

/**
 * One function per call, written out from its row: V8 then gives every call's input one shape of its own, which a loop
 * over names in a variable does not get. (All text in it comes from the table.)
 */
function compile(row: CallRow): CompiledCall {
  const { arguments: all } = row;
  const having = (kinds: object): [ArgumentRow, number][] =>
    all.flatMap((argument, at) => (argument.kind in kinds ? [[argument, at]] : []));
  const reads = having(readers).map(
    ([{ kind, name }, at]) => `${name}: readers.${kind}(reader, rows[${at}])`,
  );
  const writes = having(writers).map(
    ([{ kind, name }, at]) => `writers.${kind}(writer, output.${name}, rows[${at}]);`,
  );
  const make = new Function(
    'rows, readers, writers',
    `return [(reader) => ({ ${reads.join(', ')} }), (writer, output) => { ${writes.join(' ')} }];`,
  ) as (rows: readonly ArgumentRow[], read: object, write: object) => [ReadInput, WriteOutputs];
  const [read, write] = make(all, readers, writers);
  return { row, read, write };
}

const compiled: readonly CompiledCall[] = calls.map(compile);
const compiledByRow = new Map(compiled.map((call) => [call.row, call]));

export interface Request {
  readonly call: CallRow;
  readonly input: AnyInput;
}

/** Reads a request frame: u16 call, then its arguments as the row says. Throws MalformedFrame. */
export function readRequest(frame: Buffer): Request {
  const reader = new Reader(frame);
  const call = compiled[reader.u16()];
  if (call === undefined) throw new MalformedFrame('an unknown call');
  const input = call.read(reader);
  reader.end();
  return { call: call.row, input };
}

const answers = new Writer(64 * 1024, limits.frameBytes);

/** Writes an answer frame: u32 CK_RV, u8 whether outputs follow, the outputs as the row says. Throws FrameTooLarge. */
export function writeAnswer(call: CallRow, rv: number, output?: AnyOutput): Buffer {
  try {
    answers.u32(rv);
    answers.u8(output === undefined ? 0 : 1);
    if (output !== undefined) compiledByRow.get(call)!.write(answers, output);
    return answers.finish();
  } catch (error) {
    answers.discard();
    throw error;
  }
}
