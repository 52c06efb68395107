import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ObjectKind } from '../../src/objects/kinds.js';
import type { Default, Origin } from '../../src/objects/rules.js';
import { projectRoot } from '../support/engine.js';

/**
 * CloudHSM's table of attributes as the reference has it (section 11.1), read from the document itself: nothing in here comes
 * from src/objects/rules.ts, which is to be compared with it.
 */
const reference = join(projectRoot, '..', 'shared', 'reference', 'pkcs11-library.md');

export const referenceIsThere = existsSync(reference);

type Column = Origin | 'read';

/** The columns of the document, and the order of the characters in their cells. */
const columns: readonly (readonly [Column, readonly ObjectKind[]])[] = [
  ['generatePair', ['ecPrivate', 'ecPublic', 'rsaPrivate', 'rsaPublic', 'mldsaPrivate', 'mldsaPublic']],
  ['generate', ['aes', 'des3', 'generic']],
  ['create', ['ecPrivate', 'ecPublic', 'rsaPrivate', 'rsaPublic', 'aes', 'des3', 'generic']],
  ['unwrap', ['ecPrivate', 'rsaPrivate', 'aes', 'des3', 'generic']],
  ['derive', ['aes', 'des3', 'generic']],
  [
    'read',
    [
      'ecPrivate',
      'ecPublic',
      'rsaPrivate',
      'rsaPublic',
      'mldsaPrivate',
      'mldsaPublic',
      'aes',
      'des3',
      'generic',
    ],
  ],
];

export interface DocumentedCell {
  readonly attribute: string;
  readonly column: Column;
  readonly kind: ObjectKind;
  readonly says: string;
  /** The default that the document states for the column. */
  readonly default: Default;
}

/** "PRIME_1/2, COEFFICIENT" are three attributes. */
function attributesOf(cell: string): string[] {
  return cell.split(', ').flatMap((name) => {
    const [first, ...others] = name.trim().split('/');
    return [first!, ...others.map((ending) => first!.slice(0, -ending.length) + ending)].map(
      (text) => `CKA_${text}`,
    );
  });
}

const codes: { readonly [Code in string]?: Column } = {
  GKP: 'generatePair',
  GK: 'generate',
  CO: 'create',
  UW: 'unwrap',
  DK: 'derive',
};

/** "False; **GK True**", "GKP GK DK True; CO UW False", "empty". */
function defaultOf(cell: string, column: Column): Default {
  let general: Default;
  for (const part of cell.replaceAll('*', '').split(';')) {
    const words = part.trim().split(' ');
    const value = { True: true, False: false, empty: '' as const }[words.pop() ?? ''];
    if (words.length === 0) general = value;
    else if (words.some((word) => codes[word] === column)) return value;
  }
  return general;
}

/** Every cell of the document. */
export function documentedCells(): DocumentedCell[] {
  const text = readFileSync(reference, 'utf8');
  const section = text.slice(text.indexOf('### 11.1'), text.indexOf('### 11.2'));
  const rows = section
    .split('\n')
    .filter((line) => /^\| [A-Z]+[A-Z_0-9/, ]* \|/.test(line) && !line.startsWith('| CKA_'));
  return rows.flatMap((line) => {
    const cells = line
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim());
    return attributesOf(cells[0]!).flatMap((attribute) =>
      columns.flatMap(([column, kinds], at) =>
        kinds.map((kind, place) => {
          const says = cells[at + 1]!.replaceAll('`', '');
          return {
            attribute,
            column,
            kind,
            // "n/l = not listed on that page (treat as .)"
            says: says === 'n/l' ? '.' : says[place]!,
            default: defaultOf(cells[7]!, column),
          };
        }),
      ),
    );
  });
}
