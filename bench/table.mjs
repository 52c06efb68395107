/* The results for people. Lines are printed as they come, so the widths are fixed. */
import { goalOf } from './rows.mjs';

const columns = [
  ['row', 26, 'left'],
  ['threads', 7],
  ['ops/s', 11],
  ['p50', 9],
  ['p99', 9],
  ['SoftHSM', 11],
  ['p50', 9],
  ['p11-kit', 10],
  ['ratio', 9],
  ['first', 9],
  ['goal', 7],
  ['limit', 12],
  ['reached', 8],
  ['of', 18, 'left'],
];

function line(cells) {
  const padded = columns.map(([, width, side], at) => {
    const text = cells[at] ?? '';
    return side === 'left' ? text.padEnd(width) : text.padStart(width);
  });
  return padded.join(' ').trimEnd();
}

export const heading = () => line(columns.map(([title]) => title));

function count(value) {
  if (value >= 100) return Math.round(value).toLocaleString('en-US');
  return value.toFixed(value >= 10 ? 1 : 2);
}

function duration(us) {
  if (us >= 1e6) return `${(us / 1e6).toFixed(2)} s`;
  if (us >= 1e3) return `${(us / 1e3).toFixed(us >= 1e5 ? 0 : 1)} ms`;
  return `${us.toFixed(us >= 100 ? 0 : us >= 10 ? 1 : 2)} µs`;
}

const rate = (measured) => {
  if (measured === undefined || 'leftOut' in measured) return '-';
  return 'failed' in measured ? 'failed' : count(measured.opsPerSecond);
};

/** The goal, and whether it is met. */
function goalText(row, result) {
  const own = result.targets['cloudhsm-local'];
  const mark = (met) => (met === undefined ? '' : met ? ' ✓' : ' ✗');
  if (row.goal?.p50Us !== undefined && result.threads === 1) {
    return `${row.goal.p50Us} µs${mark(own?.p50Us === undefined ? undefined : own.p50Us <= row.goal.p50Us)}`;
  }
  const goal = goalOf(row, result.threads);
  if (goal === undefined) return '';
  const ratio = result.ratios['softhsm'];
  return `${goal}${mark(ratio === undefined ? undefined : ratio >= goal)}`;
}

const ratioText = (ratio) =>
  ratio === undefined ? '' : ratio >= 100 ? count(ratio) : ratio.toFixed(ratio < 0.1 ? 3 : 2);

/** HSMs in processes of their own, with their ratio to SoftHSM behind p11-kit. */
export function splitLine(title, name, result) {
  const split = result.targets[name];
  const ratio = result.ratios[`${name}/p11-kit`];
  const times = split?.p50Us === undefined ? ['', ''] : [duration(split.p50Us), duration(split.p99Us)];
  const toP11Kit = ratio === undefined ? '' : `${ratio.toFixed(2)} p`;
  const first = ratioText(result.firstRatios[`${name}/p11-kit`]);
  return line([`  ${title}`, String(result.threads), rate(split), ...times, '', '', '', toP11Kit, first]);
}

/** @param {import('./rows.mjs').Row} row @param {import('./measure.mjs').Result} result */
export function resultLine(row, result) {
  const { 'cloudhsm-local': own, softhsm, 'p11-kit': p11kit } = result.targets;
  const { limit } = result;
  return line([
    row.name,
    String(result.threads),
    rate(own),
    own?.p50Us === undefined ? '' : duration(own.p50Us),
    own?.p99Us === undefined ? '' : duration(own.p99Us),
    rate(softhsm),
    softhsm?.p50Us === undefined ? '' : duration(softhsm.p50Us),
    rate(p11kit),
    ratioText(result.ratios['softhsm']),
    ratioText(result.firstRatios['softhsm']),
    goalText(row, result),
    limit === undefined ? '' : count(limit.opsPerSecond),
    limit === undefined || own?.opsPerSecond === undefined
      ? ''
      : `${((100 * own.opsPerSecond) / limit.opsPerSecond).toFixed(0)} %`,
    limit?.text ?? '',
  ]);
}

function memoryText({ residentKiB, ownKiB }) {
  const mebibytes = (kibibytes) => (kibibytes / 1024).toFixed(0);
  return `${mebibytes(residentKiB)} MiB resident (${mebibytes(ownKiB)} without mapped files)`;
}

/** @param {import('./engine-start.mjs').EngineResult} result */
export function engineLine({ row, startSeconds, startRatio, bytesPerKey, used, ...memory }) {
  const facts = [`ready in ${startSeconds.toFixed(2)} s`, memoryText(memory)];
  if (startRatio !== undefined)
    facts.push(`${startRatio.toFixed(2)} × the time of an empty home (goal: 1.5)`);
  if (bytesPerKey !== undefined) facts.push(`${bytesPerKey.toFixed(0)} bytes per key (goal: 1536)`);
  if (used !== undefined) facts.push(`after the rows above ${memoryText(used)}`);
  return `${row.padEnd(26)} ${facts.join(', ')}`;
}

/** @param {import('./engine-liveness.mjs').LivenessResult} result */
export function livenessLine({ row, seconds, cpuPercent, requests, p50Us, p99Us, opsPerSecond }) {
  const text =
    cpuPercent === undefined
      ? `${requests} requests in ${seconds} s: p50 ${duration(p50Us)}, p99 ${duration(p99Us)}, beside ${count(opsPerSecond)} calls/s`
      : `${cpuPercent.toFixed(2)} % of a processor over ${seconds} s (goal: 0.1)`;
  return `${row.padEnd(26)} ${text}`;
}

/** @param {import('./backup.mjs').BackupResult} result */
export function backupLine({
  row,
  backupSeconds,
  bytes,
  restoreSeconds,
  p99Us,
  p99DuringUs,
  busySeconds,
  ...rest
}) {
  const mebibytes = (value) => `${(value / 1024 / 1024).toFixed(1)} MiB`;
  const facts = [
    `backup in ${backupSeconds.toFixed(2)} s, ${mebibytes(bytes)}, ${mebibytes(rest.backupMemoryBytes)} of memory`,
    `restored in ${restoreSeconds.toFixed(2)} s, ${mebibytes(rest.restoreMemoryBytes)}`,
    `p99 of AES-GCM ${duration(p99Us)}, and ${duration(p99DuringUs)} during backups of ${busySeconds.toFixed(2)} s ` +
      `(${(p99DuringUs / p99Us).toFixed(2)} of 2)`,
  ];
  return `${row.padEnd(26)} ${facts.join('; ')}`;
}
