import { type AttributeName, CKA } from '../pkcs11/attributes.js';
import { certificateRows } from './certificates.js';
import { kindRows, type ObjectKind } from './kinds.js';

/** How an object comes to be: each way has its own rules for the template. */
export type Origin = 'generatePair' | 'generate' | 'create' | 'unwrap' | 'derive';

/**
 * What a cell of the table says of an attribute.
 *  W  may be set            !  must be set
 *  =  may be set, but only to its default
 *  R  set by the HSM, refused in a template
 *  .  the kind of object does not have it
 */
export type Rule = 'W' | '!' | '=' | 'R' | '.';

/** What a cell of the read column says: readable, sensitive, or not an attribute of the kind. */
export type ReadRule = 'Y' | 'S' | '.';

/** The order of the characters in the cells below. */
export const columns = {
  generatePair: ['ecPrivate', 'ecPublic', 'rsaPrivate', 'rsaPublic', 'mldsaPrivate', 'mldsaPublic'],
  generate: ['aes', 'des3', 'generic'],
  create: ['ecPrivate', 'ecPublic', 'rsaPrivate', 'rsaPublic', 'aes', 'des3', 'generic'],
  unwrap: ['ecPrivate', 'rsaPrivate', 'aes', 'des3', 'generic'],
  derive: ['aes', 'des3', 'generic'],
  read: [
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
} as const satisfies Record<Origin | 'read', readonly ObjectKind[]>;

/** What the HSM sets where a template is silent: a boolean, a number, or an empty value. */
export type Default = boolean | number | '' | undefined;

/** Where the way into the HSM makes a difference: that way's default, or the one of all others. */
type RowDefault = Default | ({ readonly otherwise: Default } & { readonly [Way in Origin]?: Default });

/**
 * CloudHSM's attributes of keys: THE row per attribute. (AWS CloudHSM user guide, "Supported attributes";
 * reference section 11.1, with which test/objects/matrix.test.ts compares every cell.)
 *
 *                                generatePair generate create     unwrap   derive read         default
 */
// biome-ignore format: a table
const rows: readonly [AttributeName, string, string, string, string, string, string, RowDefault][] = [
  ['CKA_CLASS',                   'WWWWWW',   'WWW',    '!!!!!!!', '!!!!!', '!!!', 'YYYYYYYYY', undefined],
  ['CKA_KEY_TYPE',                'WWWWWW',   'WWW',    '!!!!!!!', '!!!!!', '!!!', 'YYYYYYYYY', undefined],
  ['CKA_LABEL',                   'WWWWWW',   'WWW',    'WWWWWWW', 'WWWWW', 'WWW', 'YYYYYYYYY', ''],
  ['CKA_ID',                      'WWWWWW',   'WWW',    'WWWWWWW', 'WWWWW', 'WWW', 'YYYYYYYYY', ''],
  ['CKA_LOCAL',                   'RRRRRR',   'RRR',    'RRRRRRR', 'RRRRR', 'RRR', 'YYYYYYYYY', { otherwise: true, create: false, unwrap: false }],
  ['CKA_TOKEN',                   'WWWWWW',   'WWW',    'WWWWWWW', 'WWWWW', 'WWW', 'YYYYYYYYY', false],
  ['CKA_PRIVATE',                 '======',   '===',    '=======', '=====', '===', 'YYYYYYYYY', true],
  ['CKA_MODIFIABLE',              'WWWWWW',   'WWW',    'WWWWWWW', 'WWWWW', 'WWW', 'YYYYYYYYY', true],
  ['CKA_DESTROYABLE',             'WWWWWW',   'WWW',    'WWWWWWW', 'WWWWW', 'WWW', 'YYYYYYYYY', true],
  ['CKA_ENCRYPT',                 '.W.W..',   'WW.',    '...WWW.', '..WW.', 'WW.', '...Y..YY.', false],
  ['CKA_DECRYPT',                 'W.W...',   'WW.',    '..W.WW.', '.WWW.', 'WW.', '..Y...YY.', false],
  ['CKA_DERIVE',                  'WWWW..',   'WWW',    'WWWWWWW', 'WWWWW', 'WWW', 'YYYY..YYY', false],
  ['CKA_SIGN',                    'W.W.W.',   'WWW',    'W.W.WWW', 'WWWWW', 'WWW', 'Y.Y.Y.YYY', { otherwise: false, generate: true }],
  ['CKA_VERIFY',                  '.W.W.W',   'WWW',    '.W.WWWW', '..WWW', 'WWW', '.Y.Y.YYYY', { otherwise: false, generate: true }],
  ['CKA_SIGN_RECOVER',            '......',   '...',    '.......', '.....', '...', '..Y......', undefined],
  ['CKA_VERIFY_RECOVER',          '......',   '...',    '.......', '.....', '...', '...Y.....', undefined],
  ['CKA_WRAP',                    '.W.W..',   'WW.',    '...WWW.', '..WW.', 'WW.', '...Y..YY.', false],
  ['CKA_UNWRAP',                  'W.W...',   'WW.',    '..W.WW.', '.WWW.', 'WW.', '..Y...YY.', false],
  ['CKA_WRAP_TEMPLATE',           '.W.W..',   'WW.',    '.W.WWW.', '.....', '...', '.Y.Y..YY.', undefined],
  ['CKA_UNWRAP_TEMPLATE',         'W.W...',   'WW.',    'W.W.WW.', '.....', '...', 'Y.Y...YY.', undefined],
  ['CKA_TRUSTED',                 '.W.W.W',   'WW.',    '.W.WWW.', '.....', '...', '.Y.Y.YYYY', false],
  ['CKA_WRAP_WITH_TRUSTED',       'W.W.W.',   'WWW',    'W.W.WWW', '.....', '...', 'Y.Y.Y.YYY', false],
  // Documented as R in C_DeriveKey; TRUE, which AWS's samples set everywhere, is taken (reference 11.2).
  ['CKA_SENSITIVE',               '=.=.W.',   'WWW',    'W.W.WWW', 'WWWWW', '===', 'Y.Y.Y.YYY', true],
  ['CKA_EXTRACTABLE',             'W.W.W.',   'WWW',    'W.W.WWW', 'WWWWW', 'WWW', 'Y.Y.Y.YYY', true],
  ['CKA_ALWAYS_SENSITIVE',        'R.R...',   '...',    'R.R.RRR', 'RRRRR', 'RRR', 'YYYYYYYYY', undefined],
  ['CKA_NEVER_EXTRACTABLE',       'R.R...',   'RRR',    'R.R.RRR', 'RRRRR', 'RRR', 'Y.Y.YYYYY', undefined],
  ['CKA_MODULUS',                 '......',   '...',    '..!!...', '.....', '...', '..YY.....', undefined],
  ['CKA_MODULUS_BITS',            '...!..',   '...',    '.......', '.....', '...', '...Y.....', undefined],
  ['CKA_PUBLIC_EXPONENT',         '...!..',   '...',    '..!!...', '.....', '...', '..YY.....', undefined],
  ['CKA_PRIVATE_EXPONENT',        '......',   '...',    '..!....', '.....', '...', '..S......', undefined],
  ['CKA_PRIME_1',                 '......',   '...',    '..W....', '.....', '...', '..S......', undefined],
  ['CKA_PRIME_2',                 '......',   '...',    '..W....', '.....', '...', '..S......', undefined],
  ['CKA_EXPONENT_1',              '......',   '...',    '..W....', '.....', '...', '..S......', undefined],
  ['CKA_EXPONENT_2',              '......',   '...',    '..W....', '.....', '...', '..S......', undefined],
  ['CKA_COEFFICIENT',             '......',   '...',    '..W....', '.....', '...', '..S......', undefined],
  ['CKA_EC_PARAMS',               '.!....',   '...',    '!!.....', '.....', '...', 'YY.......', undefined],
  // EC_POINT of private keys is documented as absent, yet the real library returns it (reference 11.2).
  ['CKA_EC_POINT',                '......',   '...',    '.!.....', '.....', '...', 'YY.......', undefined],
  // Of secret keys documented as readable, yet refused: they are sensitive (reference 11.2).
  ['CKA_VALUE',                   '......',   '...',    '!...!!!', '.....', '...', 'S.....SSS', undefined],
  ['CKA_VALUE_LEN',               '......',   '!.!',    '.......', '.....', '!.!', '......Y.Y', undefined],
  ['CKA_CHECK_VALUE',             'RRRR..',   'RRR',    'RRRRRRR', 'RRRRR', 'RRR', 'YYYY..YY.', undefined],
  ['CKA_CLOUDHSM_PARAMETER_SET',  '....WW',   '...',    '.......', '.....', '...', '....YY...', undefined],
];

/** Attributes that CloudHSM lists for keys: the standard's others are none of CloudHSM's. */
export const keyAttributes: readonly AttributeName[] = rows.map(([name]) => name);

/** The rules of one kind of object for one origin: what its template may, must and must not hold. */
export type RuleSet = ReadonlyMap<number, Rule>;

function keyRules(origin: Origin, kind: ObjectKind): RuleSet {
  const column = (columns[origin] as readonly ObjectKind[]).indexOf(kind);
  const cell = { generatePair: 1, generate: 2, create: 3, unwrap: 4, derive: 5 }[origin];
  return new Map(column < 0 ? [] : rows.map((row) => [CKA[row[0]], (row[cell] as string)[column] as Rule]));
}

const certificateRules: RuleSet = new Map(
  Object.entries(certificateRows).map(([name, { rule }]) => [CKA[name as AttributeName], rule]),
);

const certificateDefaults = new Map<number, Default>(
  Object.entries(certificateRows).map(([name, row]) => [CKA[name as AttributeName], row.default]),
);

/** The rules for templates of `kind` made by `origin`; empty where CloudHSM makes no such object that way. */
export function rulesFor(origin: Origin, kind: ObjectKind): RuleSet {
  if (kind !== 'certificate') return keyRules(origin, kind);
  return origin === 'create' ? certificateRules : new Map();
}

/** What the HSM sets where the template is silent. */
export function defaultOf(origin: Origin, kind: ObjectKind, type: number): Default {
  if (kind === 'certificate') return certificateDefaults.get(type);
  const row = rows.find(([name]) => CKA[name] === type)?.[7];
  if (typeof row !== 'object') return row;
  return origin in row ? row[origin] : row.otherwise;
}

function readColumn(kind: ObjectKind): ReadonlyMap<number, ReadRule> {
  if (kind === 'certificate') return new Map([...certificateRules.keys()].map((type) => [type, 'Y']));
  const column = (columns.read as readonly ObjectKind[]).indexOf(kind);
  return new Map(rows.map((row) => [CKA[row[0]], row[6][column] as ReadRule]));
}

/** Looked up for every attribute that is read or searched for. */
const readColumns = new Map(kindRows.map(({ kind }) => [kind, readColumn(kind)]));

/** Whether an attribute of `kind` can be read; '.' also for attributes without a row. */
export function readRule(kind: ObjectKind, type: number): ReadRule {
  return readColumns.get(kind)?.get(type) ?? '.';
}
