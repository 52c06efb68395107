import { type Field, infoLayouts } from '../../src/pkcs11/layouts.js';
import type { AnyOutput } from '../../src/wire/arguments.js';
import type { ArgumentRow, CallRow } from '../../src/wire/calls.js';
import type { Reply } from './fake-engine.js';

/* Both sides derive every value from the name of the argument: see native/pkcs11/test/echo_client.c. */
export const numberOf = (name: string): number =>
  [...Buffer.from(name)].reduce((sum, byte) => sum + byte, 0x1234567800);

function structOf(fields: readonly Field[]): Record<string, unknown> {
  const memberOf = (field: Field): unknown => {
    if (field.kind === 'text') return field.name;
    if (field.kind === 'version') return { major: 2, minor: 40 };
    return field.kind === 'slot' ? 2 : numberOf(field.name);
  };
  return Object.fromEntries(fields.map((field) => [field.name, memberOf(field)]));
}

function echoed({ name, kind, layout }: ArgumentRow): unknown {
  switch (kind) {
    case 'mechanism':
      return Buffer.from('IV from HSM!');
    case 'query':
      return [{ lengthBytes: 5, value: Buffer.from('label') }, { lengthBytes: 99 }, { lengthBytes: -1 }];
    case 'room':
      return Buffer.from(name);
    case 'list':
    case 'upTo':
      return [1, 2, 3];
    case 'slots':
      return [0, 1, 2];
    case 'fill':
      return Buffer.alloc(32, name);
    case 'outUlong':
      return numberOf(name);
    case 'outSlot':
      return 4;
    case 'outStruct':
      return structOf(infoLayouts[layout!]);
    default:
      return undefined;
  }
}

/** Answers a call with an output of every kind that it has. */
export function echo(call: CallRow): Reply {
  const output: AnyOutput = Object.fromEntries(call.arguments.map((row) => [row.name, echoed(row)]));
  return { rv: 'CKR_OK', output };
}
