import type { Applications } from '../../src/bridge/applications.js';
import type { InProcessChannel } from '../../src/bridge/in-process.js';
import { CKR, type CkrName } from '../../src/pkcs11/ckr.js';
import { type Field, infoLayouts } from '../../src/pkcs11/layouts.js';
import type { AttributeAnswer, AttributeQuery, CallInput, CallOutput } from '../../src/wire/arguments.js';
import { Reader, Writer } from '../../src/wire/bytes.js';
import {
  type ArgumentKind,
  type ArgumentRow,
  type CallName,
  type CallRow,
  calls,
} from '../../src/wire/calls.js';
import { parameterForms } from '../../src/wire/codec.js';
import { writeBytes, writeMechanism, writeTemplate, writeU64 } from '../../src/wire/values.js';
import { openChannel } from './in-process.js';

/*
 * The module's side of the wire: what native/pkcs11 does in C, as far as tests need it. It interprets the same rows as the
 * engine's side (src/wire/codec.ts).
 */

type WriteArgument = (writer: Writer, value: never) => void;
type ReadOutput = (reader: Reader, row: ArgumentRow, asked: unknown) => unknown;

const writeNumber = (writer: Writer, value: number): void => writeU64(writer, value);

/** None that asks for the entries of a template. */
function writeQuery(writer: Writer, query: readonly AttributeQuery[]): void {
  writer.u32(query.length);
  for (const { type, room } of query) {
    writer.u64(type);
    writer.u64(room);
  }
}

const writers: { readonly [Kind in ArgumentKind]?: WriteArgument } = {
  session: writeNumber,
  slot: (writer, value: number) => writer.slot(value),
  ulong: writeNumber,
  flag: (writer, value: boolean) => writer.u8(value ? 1 : 0),
  bytes: writeBytes,
  text: (writer, value: Buffer) => writer.bytes(value),
  pointer: (writer, value: boolean) => writer.u8(value ? 1 : 0),
  mechanism: (writer, value: Parameters<typeof writeMechanism>[1] | null) => {
    if (value === null) writer.u8(parameterForms.nullMechanism);
    else writeMechanism(writer, value);
  },
  template: writeTemplate,
  query: writeQuery,
  room: writeNumber,
  list: writeNumber,
  slots: writeNumber,
  upTo: (writer, { room, max }: { room: number; max: number }) => {
    writer.u64(room);
    writer.u64(max);
  },
  fill: writeNumber,
};

function readList(reader: Reader): readonly number[] | { length: number } {
  const length = reader.u64();
  const entries = Array.from({ length: reader.u32() }, () => reader.u64());
  return entries.length === length ? entries : { length };
}

function readAnswers(reader: Reader, query: readonly AttributeQuery[]): AttributeAnswer[] {
  return query.map(() => {
    const lengthBytes = reader.room();
    const value = reader.bytes(reader.u32());
    return value.length === lengthBytes ? { lengthBytes, value } : { lengthBytes };
  });
}

function readFields(reader: Reader, fields: readonly Field[]): Record<string, unknown> {
  const read = (field: Field): unknown => {
    if (field.kind === 'slot') return reader.slot();
    if (field.kind === 'text') return reader.bytes(field.size).toString().trimEnd();
    if (field.kind === 'version') return { major: reader.u8(), minor: reader.u8() };
    return reader.u64();
  };
  return Object.fromEntries(fields.map((field) => [field.name, read(field)]));
}

const readers: { readonly [Kind in ArgumentKind]?: ReadOutput } = {
  mechanism: (reader) => {
    const returned = reader.bytes(reader.u32());
    return returned.length === 0 ? undefined : returned;
  },
  room: (reader) => {
    const length = reader.u64();
    const bytes = reader.bytes(reader.u32());
    return bytes.length === length ? bytes : { length };
  },
  query: (reader, _row, asked) => readAnswers(reader, asked as readonly AttributeQuery[]),
  list: readList,
  upTo: readList,
  fill: (reader, _row, asked) => reader.bytes(asked as number),
  outUlong: (reader) => reader.u64(),
  outSlot: (reader) => reader.slot(),
  outStruct: (reader, { layout }) => readFields(reader, infoLayouts[layout!]),
};

const codes = new Map(Object.entries(CKR).map(([name, rv]) => [rv as number, name as CkrName]));

export interface Called<N extends CallName> {
  readonly code: CkrName;
  readonly output: Partial<CallOutput<N>>;
}

/** A program whose calls go to the engine as frames, through a channel of its own. */
export class WireCaller {
  private constructor(private readonly channel: InProcessChannel) {}

  static async open(applications: Applications): Promise<WireCaller> {
    const channel = openChannel(applications);
    await channel.hello();
    return new WireCaller(channel);
  }

  /** Throws where the engine ends the connection, or answers what is no answer. */
  async call<N extends CallName>(name: N, input: CallInput<N>): Promise<Called<N>> {
    const at = calls.findIndex((call) => call.name === name);
    const row: CallRow = calls[at]!;
    const values = input as Record<string, unknown>;
    const writer = new Writer();
    writer.u16(at);
    for (const argument of row.arguments) writers[argument.kind]?.(writer, values[argument.name] as never);
    const answer = await this.channel.exchange(writer.finish());
    if (answer === undefined) throw new Error(`the engine ended the connection instead of answering ${name}`);
    const reader = new Reader(answer);
    const code = codes.get(reader.u32())!;
    const output: Record<string, unknown> = {};
    if (reader.u8() === 1) {
      for (const argument of row.arguments) {
        const read = readers[argument.kind];
        if (read !== undefined) output[argument.name] = read(reader, argument, values[argument.name]);
      }
    }
    reader.end();
    return { code, output: output as Partial<CallOutput<N>> };
  }

  close(): void {
    this.channel.close();
  }
}
