import type { HashName } from '../../../crypto/index.js';
import { type HashRow, hashRows } from '../../../mechanisms/hashes.js';
import { oneOf } from '../../command-row.js';

/* Hashes as the CLI names them (reference management-tools, sections 6.3 and 6.5). */

const names = ['sha1', 'sha224', 'sha256', 'sha384', 'sha512'] as const satisfies readonly HashName[];
export const hashKind = oneOf(...names);
export const mgfKind = oneOf('mgf1-sha1', 'mgf1-sha224', 'mgf1-sha256', 'mgf1-sha384', 'mgf1-sha512');

export const hashRow = (name: HashName): HashRow => hashRows.find(({ hash }) => hash === name)!;
/** CKG_… of an MGF. */
export const mgfNumber = (name: string): number => hashRow(name.replace('mgf1-', '') as HashName).mgf;
