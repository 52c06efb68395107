import type { FlagRow } from './command.js';

/** Flags that commands share which read and write files. */
export const handle = {
  kind: 'number',
  required: true,
  help: 'handle of the key',
} as const satisfies FlagRow;
export const outFile = { kind: 'file', required: true, help: 'file to write' } as const satisfies FlagRow;
export const inFile = { kind: 'file', required: true, help: 'file to read' } as const satisfies FlagRow;
