/**
 * The rows, in the order of the table.
 *
 * @typedef {object} Row
 * @property {string} name          what bench/harness calls it: family and size
 * @property {Limit} [limit]        what the machine allows
 * @property {{one?: number, more?: number, p50Us?: number}} [goal]  least ratio to SoftHSM in process with one
 *                                  thread and with more, or the longest median
 * @property {number} [quick]       part of --quick, with so many threads at most
 * @property {number} [tokenKeys]   keys on the token while it runs (10 unless said)
 * @property {boolean} [oneThread]
 * @property {number} [leastThreads]
 * @property {number} [slice]       how many times longer than others a slice lasts: few operations, far apart
 * @property {boolean} [large]      part of --large only
 * @property {'start' | 'idle' | 'status' | 'backup'} [engine]  measured on the engine, not through the module: see
 *                                  engine-start.mjs, engine-liveness.mjs and backup.mjs
 *
 * @typedef {{openssl: string[], field: 'sign' | 'verify' | 'bytes', bytes?: number}
 *   | {roundTrips: number} | {syncs: number} | {generate: number}} Limit
 */

/** Token keys that every row finds: enough for attributes-token and find-label-10. */
export const BASE_TOKEN_KEYS = 10;

const evp = (bytes, ...words) => ({
  openssl: ['-bytes', String(bytes), ...words],
  field: 'bytes',
  bytes,
});
const rsa = (bits, field) => ({ openssl: [`rsa${bits}`], field });
const ecdsa = (bits, field) => ({ openssl: [`ecdsap${bits}`], field });

/** How a family is measured, whatever the size. */
const families = {
  null: () => ({ limit: { roundTrips: 1 } }),
  'rsa-sign': (size) => ({ limit: rsa(size, 'sign') }),
  'rsa-verify': (size) => ({ limit: rsa(size, 'verify') }),
  'ecdsa-sign': (size) => ({ limit: ecdsa(size, 'sign') }),
  'ecdsa-verify': (size) => ({ limit: ecdsa(size, 'verify') }),
  'aes-gcm': (size) => ({ limit: evp(size, '-aead', '-evp', 'aes-256-gcm') }),
  'aes-cbc': (size) => ({ limit: evp(size, '-evp', 'aes-256-cbc') }),
  'hmac-sha256': (size) => ({ limit: evp(size, '-hmac', 'sha256') }),
  sha256: (size) => ({ limit: evp(size, '-evp', 'sha256') }),
  random: (size) => ({ limit: evp(size, 'rand') }),
  'attributes-token': () => ({ limit: { roundTrips: 1 } }),
  attributes: () => ({ limit: { roundTrips: 1 } }),
  session: () => ({ limit: { roundTrips: 2 } }),
  'find-label': (size) => ({ limit: { roundTrips: 3 }, tokenKeys: Math.max(size, BASE_TOKEN_KEYS) }),
  'aes-generate': () => ({ limit: { roundTrips: 2 } }),
  'aes-generate-token': () => ({ limit: { syncs: 2 } }),
  'rsa-generate': (size) => ({ limit: { generate: size }, slice: 4 }),
  'init-login': () => ({ oneThread: true }),
  'idle-clients': () => ({ engine: 'idle', oneThread: true }),
  'status-under-load': () => ({ engine: 'status', oneThread: true }),
  backup: (size) => ({ engine: 'backup', oneThread: true, tokenKeys: Math.max(size, BASE_TOKEN_KEYS) }),
  'engine-start': (size) => ({
    engine: 'start',
    oneThread: true,
    tokenKeys: Math.max(size, BASE_TOKEN_KEYS),
  }),
};

/** What the issue asks for, with its goals. */
const table = {
  null: { quick: 1, goal: { p50Us: 3 } },
  'rsa-sign-2048': { quick: 2, goal: { one: 1.2, more: 0.95 } },
  'rsa-sign-token-2048': {},
  'rsa-sign-4096': {},
  'ecdsa-sign-256': { quick: 2, goal: { one: 2, more: 1.5 } },
  'ecdsa-sign-token-256': {},
  'ecdsa-verify-256': {},
  'ecdsa-sign-384': {},
  'ecdsa-verify-384': {},
  'aes-gcm-16': {},
  'aes-gcm-1024': { quick: 2, goal: { one: 4, more: 2.5 } },
  'aes-gcm-16384': {},
  'aes-gcm-token-1024': {},
  'aes-cbc-1024': {},
  'hmac-sha256-64': { quick: 2, goal: { one: 4, more: 2.5 } },
  'hmac-sha256-token-64': {},
  'sha256-64': { quick: 1, goal: { one: 0.25, more: 0.25 } },
  'sha256-1048576': {},
  'random-32': { quick: 1, goal: { one: 0.25, more: 0.25 } },
  'attributes-token': { quick: 1, goal: { one: 8, more: 8 } },
  attributes: {},
  session: { quick: 1, goal: { one: 0.1, more: 0.1 } },
  'find-label-10': { quick: 1, goal: { one: 10, more: 10 } },
  'aes-generate': { quick: 2, goal: { one: 2, more: 2 } },
  'aes-generate-token': { quick: 2, goal: { one: 10, more: 10 } },
  'rsa-generate-2048': {},
  'aes-gcm-1024+rsa-sign-2048': {},
  'init-login': {},
  'idle-clients-10': { quick: 1 },
  'status-under-load-4': { quick: 1 },
  'engine-start-0': { quick: 1 },
  'find-label-3000': { goal: { one: 5000, more: 5000 } },
  'engine-start-3000': {},
  'backup-3300': {},
  'backup-16000': { large: true },
  'find-label-100000': { large: true },
  'engine-start-100000': { large: true },
};

/** @returns {Row & {size: number} | undefined} */
function rowNamed(name) {
  if (name.includes('+')) return mixNamed(name);
  const family = name.replace(/-\d+$/, '');
  const size = Number(/-(\d+)$/.exec(name)?.[1] ?? 0);
  // The key of any row may be on the token instead of in the session.
  const measured = (families[family] ?? families[family.replace(/-token$/, '')])?.(size);
  return measured === undefined ? undefined : { name, size, ...measured, ...table[name] };
}

/** Several rows at once, a thread for each at least. */
function mixNamed(name) {
  const parts = name.split('+').map(rowNamed);
  if (parts.some((part) => part === undefined || part.engine || part.oneThread)) return undefined;
  return { name, size: 0, tokenKeys: Math.max(...parts.map(tokenKeysOf)), leastThreads: parts.length };
}

export const rowNames = Object.keys(table);

/**
 * The rows to run, those that need few token keys first: keys are added, never removed.
 * @param {import('./options.mjs').Options} options
 * @returns {Row[]}
 */
export function chosenRows({ rows: names, quick, large }) {
  const chosen = (names ?? rowNames).map((name) => {
    const row = rowNamed(name);
    if (row === undefined) throw new Error(`no row ${name}; --list shows them`);
    return row;
  });
  const rows =
    names === undefined ? chosen.filter((row) => (quick ? row.quick > 0 : large || !row.large)) : chosen;
  return rows.toSorted((a, b) => tokenKeysOf(a) - tokenKeysOf(b));
}

/** @param {Row} row */
export const tokenKeysOf = (row) => row.tokenKeys ?? BASE_TOKEN_KEYS;

/**
 * With how many threads the row is measured.
 * @param {Row} row
 * @param {import('./options.mjs').Options} options
 */
export function threadsOf(row, { threads, quick, rows }) {
  if (row.oneThread) return [1];
  if (row.leastThreads) return [...new Set(threads.map((count) => Math.max(count, row.leastThreads)))];
  return quick && rows === undefined ? threads.filter((count) => count <= row.quick) : threads;
}

/** @param {Row} row */
export const goalOf = (row, threads) => (threads === 1 ? row.goal?.one : row.goal?.more);
