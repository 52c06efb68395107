import { limits } from '../../base/limits.js';
import type { CkrName } from '../../pkcs11/ckr.js';
import { type Field, infoLayouts, mechanismParameters, parameterLayouts } from '../../pkcs11/layouts.js';
import type { MechanismName } from '../../pkcs11/mechanisms.js';
import { type ArgumentRow, type CallRow, calls } from '../calls.js';
import { layoutOrder, parameterForms } from '../codec.js';
import { handshakeStatus, TOKEN_BYTES } from '../handshake.js';
import { tableHash, templateAttributes } from '../table-hash.js';
import { banner, cParameters, prototype, upperSnake, wrapped } from './c-text.js';

const rows: readonly CallRow[] = calls;
/** The module answers these itself (module.c); C_Finalize also travels, after the module's own part of it. */
const handWritten = new Set(['C_Initialize', 'C_Finalize', 'C_GetFunctionList']);

const enumeration = (name: string, members: readonly string[]): string =>
  `enum ${name} {\n${members.map((member) => `  ${member},\n`).join('')}};\n`;

const numbered = (prefix: string, values: Readonly<Record<string, number>>): string[] =>
  Object.entries(values).map(([name, value]) => `${prefix}_${upperSnake(name)} = ${value}`);

/** The text of calls.h: numbers both sides must agree on, for every file of the module. */
export function callsHeader(): string {
  const {
    frameBytes,
    templateAttributes: attributes,
    templateDepth,
    attributeBytes,
    parameterEntries,
  } = limits;
  const bounds = {
    frameBytes,
    templateAttributes: attributes,
    templateDepth,
    attributeBytes,
    parameterEntries,
  };
  return `${banner('The numbers of the wire.')}
#ifndef CLOUDHSM_LOCAL_CALLS_H
#define CLOUDHSM_LOCAL_CALLS_H

#define TABLE_HASH 0x${tableHash.toString(16).padStart(16, '0')}ULL
#define TOKEN_BYTES ${TOKEN_BYTES}

/* src/base/limits.ts */
${enumeration('limit', numbered('LIMIT', bounds))}
/* src/wire/handshake.ts */
${enumeration('handshake_status', numbered('HANDSHAKE', handshakeStatus))}
/* src/wire/codec.ts: how a mechanism's parameter travels */
${enumeration('parameter_form', numbered('FORM', parameterForms))}
/* A call's number is its place in src/wire/calls.ts. */
${enumeration('call_number', [...rows.map(({ name }) => `CALL_${name}`), 'CALL_COUNT'])}
/* The structures of src/pkcs11/layouts.ts; a parameter names its own on the wire by this number. */
${enumeration('parameter_layout', [...layoutOrder.map((name) => `LAYOUT_${name}`), 'PARAMETER_LAYOUT_COUNT'])}
${enumeration('info_layout', [...Object.keys(infoLayouts).map((name) => `INFO_${name}`), 'INFO_LAYOUT_COUNT'])}
${enumeration('table_size', [
  `MECHANISM_ROW_COUNT = ${Object.keys(mechanismParameters).length}`,
  `TEMPLATE_ATTRIBUTE_COUNT = ${templateAttributes.length}`,
])}
#endif
`;
}

function argumentRow(argument: ArgumentRow): string {
  const detail = argument.kind === 'outStruct' ? `INFO_${argument.layout}` : (argument.size ?? 0);
  return `{KIND_${upperSnake(argument.kind)}, ${detail}}`;
}

function fieldRow(structure: string, field: Field): string {
  const at = `offsetof(${structure}, ${field.kind === 'given' ? field.of : field.name})`;
  const other =
    field.kind === 'bytes' || field.kind === 'structs' ? `offsetof(${structure}, ${field.length})` : 0;
  const size = field.kind === 'array' || field.kind === 'text' ? field.size : 0;
  const returned = field.kind === 'bytes' && field.returned === true;
  const pointed = field.kind === 'struct' || field.kind === 'structs' ? `LAYOUT_${field.layout}` : 0;
  return `  {FIELD_${upperSnake(field.kind)}, ${at}, ${other}, ${size}, ${returned}, ${pointed}},\n`;
}

function layoutTable(
  prefix: string,
  table: string,
  layouts: Readonly<Record<string, readonly Field[]>>,
): string {
  const fields = Object.entries(layouts).map(
    ([name, rows]) =>
      `static const struct field_row fields_of_${name}[] = {\n${rows.map((row) => fieldRow(name, row)).join('')}};\n`,
  );
  const members = Object.entries(layouts).map(
    ([name, rows]) => `  [${prefix}_${name}] = {fields_of_${name}, ${rows.length}, sizeof(${name})},\n`,
  );
  return `${fields.join('')}const struct layout ${table}[] = {\n${members.join('')}};\n`;
}

/** What a call answers whose input no frame holds, by what the input is. */
const tooLong: { readonly [argument: string]: CkrName } = {
  pEncryptedData: 'CKR_ENCRYPTED_DATA_LEN_RANGE',
  pEncryptedPart: 'CKR_ENCRYPTED_DATA_LEN_RANGE',
  pWrappedKey: 'CKR_WRAPPED_KEY_LEN_RANGE',
};

function tooLongAnswer(list: readonly ArgumentRow[]): CkrName {
  const inputs = list.filter(({ kind }) => kind === 'bytes');
  return (
    inputs.map(({ name }) => tooLong[name]).find((answer) => answer !== undefined) ?? 'CKR_DATA_LEN_RANGE'
  );
}

const callNumber = (name: string | undefined): string => (name === undefined ? '0' : `CALL_${name}`);

/** The text of rows.h: the tables the interpreter reads. Only table.c includes it. */
export function rowsHeader(): string {
  const callArguments = rows.map(({ name, arguments: list }) => {
    const initialisers = list.map((row, index) => argumentRow(row) + (index < list.length - 1 ? ',' : ''));
    return `static const struct argument_row arguments_of_${name}[] = {\n${wrapped(initialisers, '  ')}};\n`;
  });
  const callRows = rows.map(
    ({ name, arguments: list, secret, absent, pieces, begunBy }) =>
      `  [CALL_${name}] = {"${name}", arguments_of_${name}, ${list.length}, ${secret === true}, ${absent === true}, ${callNumber(pieces?.update)}, ${callNumber(pieces?.final)}, ${callNumber(begunBy)}, ${tooLongAnswer(list)}},\n`,
  );
  const mechanisms = (Object.keys(mechanismParameters) as MechanismName[]).map((name) => {
    const parameter = mechanismParameters[name];
    return parameter === 'bytes'
      ? `  {${name}, FORM_BYTES, 0},\n`
      : `  {${name}, FORM_STRUCT, LAYOUT_${parameter}},\n`;
  });
  const nested = templateAttributes.map((type) => `0x${type.toString(16)}UL,`);
  return `${banner('The tables that pack.c, unpack.c, template.c and mechanism.c interpret.')}
${callArguments.join('')}
const struct call_row call_rows[] = {
${callRows.join('')}};

${layoutTable('LAYOUT', 'parameter_layouts', parameterLayouts)}
${layoutTable('INFO', 'info_layouts', infoLayouts)}
const struct mechanism_row mechanism_rows[] = {
${mechanisms.join('')}};

const CK_ATTRIBUTE_TYPE template_attributes[] = {
${wrapped(nested, '  ')}};
`;
}

function definition(call: CallRow): string {
  const values = call.arguments.flatMap(cParameters).map(({ value }) => value);
  const separated = values.map((value, index) => (index < values.length - 1 ? `${value},` : value));
  const body = `  return call(CALL_${call.name}, (const union value[]){${separated.join(' ')}});`;
  const broken = `  return call(CALL_${call.name}, (const union value[]){\n${wrapped(separated, '    ')}});`;
  return `${prototype(call)}\n{\n${body.length <= 110 ? body : broken}\n}\n`;
}

/** The text of functions.h, for functions.c: every function the engine answers, and the list of all. */
export function functionsHeader(): string {
  const remote = rows.filter(({ name }) => !handWritten.has(name));
  return `${banner('The functions that the engine answers, and the function list.')}
${remote.map(definition).join('\n')}
static CK_FUNCTION_LIST function_list = {
  .version = {CRYPTOKI_VERSION_MAJOR, CRYPTOKI_VERSION_MINOR},
${rows.map(({ name }) => `  .${name} = ${name},\n`).join('')}};
`;
}

/** The text of exports.map, the linker's version script: the functions of the standard and nothing else. */
export function exportsMap(): string {
  return `${banner('What the module exports.')}{
global:
${rows.map(({ name }) => `  ${name};\n`).join('')}local:
  *;
};
`;
}
