import { limits } from '../base/limits.js';
import {
  type Field,
  type Mechanism,
  type MechanismParameter,
  type ParameterLayout,
  type ParameterValue,
  parameterLayouts,
} from '../pkcs11/layouts.js';
import type { Attribute, Template } from '../pkcs11/template.js';
import { MalformedFrame, type Reader, type Writer } from './bytes.js';

/*
 * How mechanisms and templates travel, to the engine from a module and from there to an HSM.
 */

/** How a mechanism's parameter travels: u64 type, then one of these in a u8. */
export const parameterForms = { nullMechanism: 0, none: 1, bytes: 2, struct: 3, unusable: 4 } as const;

/** Order of the layouts in the generated header: a struct parameter names its layout by this place. */
export const layoutOrder = Object.keys(parameterLayouts) as ParameterLayout[];

export const readBytes = (reader: Reader): Buffer => reader.bytes(reader.count(limits.frameBytes, 'bytes'));

function readStruct(reader: Reader, layout: ParameterLayout): ParameterValue {
  const value: Record<string, unknown> = { layout };
  for (const field of parameterLayouts[layout] as readonly Field[]) {
    if (field.kind === 'ulong') value[field.name] = reader.u64();
    else if (field.kind === 'array') value[field.name] = reader.bytes(field.size);
    else if (field.kind === 'bytes') value[field.name] = readBytes(reader);
    else if (field.kind === 'flag' || field.kind === 'given') value[field.name] = reader.u8() !== 0;
    else if (field.kind === 'struct') value[field.name] = readStruct(reader, field.layout as ParameterLayout);
    else if (field.kind === 'structs')
      value[field.name] = readStructs(reader, field.layout as ParameterLayout);
  }
  return value as ParameterValue;
}

function readStructs(reader: Reader, layout: ParameterLayout): ParameterValue[] {
  const count = reader.count(limits.parameterEntries, 'structures');
  return Array.from({ length: count }, () => readStruct(reader, layout));
}

function readParameter(reader: Reader, form: number): MechanismParameter {
  switch (form) {
    case parameterForms.none:
      return undefined;
    case parameterForms.bytes:
      return readBytes(reader);
    case parameterForms.struct: {
      const layout = layoutOrder[reader.u8()];
      if (layout === undefined) throw new MalformedFrame('an unknown parameter layout');
      return readStruct(reader, layout);
    }
    case parameterForms.unusable:
      return { layout: 'unusable', lengthBytes: reader.u64() };
    default:
      throw new MalformedFrame(`mechanism parameter form ${form}`);
  }
}

export function readMechanism(reader: Reader): Mechanism | null {
  const form = reader.u8();
  if (form === parameterForms.nullMechanism) return null;
  return { type: reader.u64(), parameter: readParameter(reader, form) };
}

export function readTemplate(reader: Reader, depth = 0): Template {
  if (depth > limits.templateDepth) throw new MalformedFrame('templates nested too deep');
  const template: Attribute[] = [];
  for (let left = reader.count(limits.templateAttributes, 'attributes'); left > 0; left--) {
    const type = reader.u64();
    if (reader.u8() !== 0)
      template.push({ type, value: Buffer.alloc(0), nested: readTemplate(reader, depth + 1) });
    else
      template.push({
        type,
        value: reader.bytes(reader.count(limits.attributeBytes, 'bytes of an attribute')),
      });
  }
  return template;
}

/** A number as `Reader.u64` read it: one too large for a handle keeps its magnitude, and is refused by whoever looks it up. */
export function writeU64(writer: Writer, value: number): void {
  writer.u64(value >= 2 ** 64 ? -1 : value);
}

export function writeBytes(writer: Writer, value: Uint8Array): void {
  writer.u32(value.length);
  writer.bytes(value);
}

function writeStruct(writer: Writer, layout: ParameterLayout, value: Record<string, unknown>): void {
  for (const field of parameterLayouts[layout] as readonly Field[]) {
    const member = value[field.name];
    if (field.kind === 'ulong') writeU64(writer, member as number);
    else if (field.kind === 'array') writer.bytes(member as Buffer);
    else if (field.kind === 'bytes') writeBytes(writer, member as Buffer);
    else if (field.kind === 'flag' || field.kind === 'given') writer.u8(member ? 1 : 0);
    else if (field.kind === 'struct')
      writeStruct(writer, field.layout as ParameterLayout, member as Record<string, unknown>);
    else if (field.kind === 'structs') {
      const all = member as readonly Record<string, unknown>[];
      writer.u32(all.length);
      for (const one of all) writeStruct(writer, field.layout as ParameterLayout, one);
    }
  }
}

export function writeMechanism(writer: Writer, { type, parameter }: Mechanism): void {
  const form =
    parameter === undefined
      ? 'none'
      : Buffer.isBuffer(parameter)
        ? 'bytes'
        : parameter.layout === 'unusable'
          ? 'unusable'
          : 'struct';
  writer.u8(parameterForms[form]);
  writeU64(writer, type);
  if (parameter === undefined) return;
  if (Buffer.isBuffer(parameter)) writeBytes(writer, parameter);
  else if (parameter.layout === 'unusable') writeU64(writer, parameter.lengthBytes);
  else {
    writer.u8(layoutOrder.indexOf(parameter.layout));
    writeStruct(writer, parameter.layout, parameter);
  }
}

export function writeTemplate(writer: Writer, template: Template): void {
  writer.u32(template.length);
  for (const { type, value, nested } of template) {
    writeU64(writer, type);
    writer.u8(nested === undefined ? 0 : 1);
    if (nested === undefined) writeBytes(writer, value);
    else writeTemplate(writer, nested);
  }
}
