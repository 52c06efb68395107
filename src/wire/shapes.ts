import { limits } from '../base/limits.js';
import type { Mechanism } from '../pkcs11/layouts.js';
import type { Template } from '../pkcs11/template.js';
import { MalformedFrame, type Reader, type Writer } from './bytes.js';
import { readMechanism, readTemplate, writeMechanism, writeTemplate, writeU64 } from './values.js';

/**
 * How one value of an HSM command travels. A row of shapes says everything about it: both sides interpret the row, and its
 * `form` goes into the fingerprint that they compare first. Every bound is checked before anything is made of a length.
 */
export interface Shape<T> {
  readonly form: string;
  read(reader: Reader): T;
  write(writer: Writer, value: T): void;
}

export const nothing: Shape<void> = {
  form: '-',
  read: () => undefined,
  write: () => undefined,
};

export const u32: Shape<number> = {
  form: 'u32',
  read: (reader) => reader.u32(),
  write: (writer, value) => writer.u32(value),
};

export const u64: Shape<number> = {
  form: 'u64',
  read: (reader) => reader.u64(),
  write: writeU64,
};

export const flag: Shape<boolean> = {
  form: 'flag',
  read: (reader) => {
    const byte = reader.u8();
    if (byte > 1) throw new MalformedFrame('a flag that is neither 0 nor 1');
    return byte === 1;
  },
  write: (writer, value) => writer.u8(value ? 1 : 0),
};

export function bytes(limitBytes: number): Shape<Buffer> {
  return {
    form: `bytes<${limitBytes}`,
    read: (reader) => reader.bytes(reader.count(limitBytes, 'bytes')),
    write: (writer, value) => {
      writer.u32(value.length);
      writer.bytes(value);
    },
  };
}

export function text(limitBytes: number): Shape<string> {
  return {
    form: `text<${limitBytes}`,
    read: (reader) => reader.text(reader.count(limitBytes, 'bytes'), 'utf8'),
    write: (writer, value) => writer.text(value),
  };
}

/** One of a few words, as its place among them. */
export function oneOf<const Words extends readonly string[]>(...words: Words): Shape<Words[number]> {
  return {
    form: words.join('|'),
    read: (reader) => {
      const word = words[reader.u8()];
      if (word === undefined) throw new MalformedFrame('a choice that is none');
      return word;
    },
    write: (writer, value) => writer.u8(words.indexOf(value)),
  };
}

export function list<T>(of: Shape<T>, limit: number): Shape<readonly T[]> {
  return {
    form: `[${of.form}]<${limit}`,
    read: (reader) => {
      const all: T[] = [];
      for (let left = reader.count(limit, 'entries'); left > 0; left--) all.push(of.read(reader));
      return all;
    },
    write: (writer, value) => {
      writer.u32(value.length);
      for (const one of value) of.write(writer, one);
    },
  };
}

export function optional<T>(of: Shape<T>): Shape<T | undefined> {
  return {
    form: `${of.form}?`,
    read: (reader) => (flag.read(reader) ? of.read(reader) : undefined),
    write: (writer, value) => {
      flag.write(writer, value !== undefined);
      if (value !== undefined) of.write(writer, value);
    },
  };
}

type Members = Readonly<Record<string, Shape<unknown>>>;
type ValueOf<S> = S extends Shape<infer T> ? T : never;
type RecordOf<M> = { readonly [Name in keyof M]: ValueOf<M[Name]> };

/** Members in the order in which they are written here. */
export function record<const M extends Members>(members: M): Shape<RecordOf<M>> {
  const entries = Object.entries(members);
  return {
    form: `{${entries.map(([name, { form }]) => `${name}:${form}`).join(',')}}`,
    ...functionsOf<RecordOf<M>>(entries),
  };
}

/** Written out per record: a loop over names would make every access to a member megamorphic (docs/PERFORMANCE.md). */
function functionsOf<T>(
  entries: readonly (readonly [string, Shape<unknown>])[],
): Pick<Shape<T>, 'read' | 'write'> {
  const reads = entries.map(([name], at) => `${JSON.stringify(name)}: shape${at}.read(reader)`);
  const writes = entries.map(([name], at) => `shape${at}.write(writer, value[${JSON.stringify(name)}]);`);
  const make = new Function(
    ...entries.map((_, at) => `shape${at}`),
    `return { read: (reader) => ({ ${reads.join(', ')} }), write: (writer, value) => { ${writes.join(' ')} } };`,
  ) as (...shapes: Shape<unknown>[]) => Pick<Shape<T>, 'read' | 'write'>;
  return make(...entries.map(([, shape]) => shape));
}

export const mechanism: Shape<Mechanism> = {
  form: 'mechanism',
  read: (reader) => {
    const value = readMechanism(reader);
    if (value === null) throw new MalformedFrame('there is no mechanism');
    return value;
  },
  write: writeMechanism,
};

export const template: Shape<Template> = {
  form: `template<${limits.templateAttributes}`,
  read: (reader) => readTemplate(reader),
  write: writeTemplate,
};
