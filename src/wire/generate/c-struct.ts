import type { Field } from '../../pkcs11/layouts.js';

/** The C declarations of one field of a structure. */
function members(field: Field): string[] {
  switch (field.kind) {
    case 'ulong':
      return [`CK_ULONG ${field.name};`];
    case 'flag':
      return [`CK_BBOOL ${field.name};`];
    case 'slot':
      return [`CK_SLOT_ID ${field.name};`];
    case 'array':
      return [`CK_BYTE ${field.name}[${field.size}];`];
    case 'text':
      return [`CK_UTF8CHAR ${field.name}[${field.size}];`];
    case 'version':
      return [`CK_VERSION ${field.name};`];
    case 'given':
      return [];
    case 'struct':
      return [`${field.layout}_PTR ${field.name};`];
    case 'structs':
      return [`CK_ULONG ${field.length};`, `${field.layout}_PTR ${field.name};`];
    case 'bytes': {
      const pointer = field.untyped ? 'CK_VOID_PTR' : 'CK_BYTE_PTR';
      const pair = [`${pointer} ${field.name};`, `CK_ULONG ${field.length};`];
      return field.lengthFirst ? pair.reverse() : pair;
    }
  }
}

function struct(name: string, fields: readonly Field[]): string {
  const body = fields.flatMap(members).map((member) => `  ${member}\n`);
  return `\ntypedef struct ${name} {\n${body.join('')}} ${name};\ntypedef ${name} *${name}_PTR;\n`;
}

/** Type definitions of structures, and of pointers to them. */
export const structs = (layouts: Readonly<Record<string, readonly Field[]>>): string =>
  Object.entries(layouts)
    .map(([name, fields]) => struct(name, fields))
    .join('');

/** One `#define` a line. */
export const defines = (constants: Readonly<Record<string, number>>): string =>
  Object.entries(constants)
    .map(([name, value]) => `#define ${name} 0x${value.toString(16).padStart(8, '0')}UL\n`)
    .join('');

/** On Windows the standard's structures have no padding (v2.40 base, section 2.1). */
export const packed = (text: string): string => `#if defined(_WIN32)
#pragma pack(push, cryptoki, 1)
#endif
${text}
#if defined(_WIN32)
#pragma pack(pop, cryptoki)
#endif
`;
