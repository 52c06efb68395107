/* One row on all targets: prepared side by side, then measured in turns A B C, A B C, so that what else the machine
 * does meets all of them. */
import { PreparedRow } from './harness.mjs';
import { tokenKeysOf } from './rows.mjs';
import { splitTargets } from './targets/split.mjs';

/** A target that has run a row for long needs but a part of a slice until it has found its pace again. */
const PACE = 0.5;

/** Which rows a target has run, so that its compilers, caches and files are as they stay. @type {WeakMap<object, Set<string>>} */
const warm = new WeakMap();

/**
 * @typedef {{opsPerSecond: number, p50Us: number, p99Us: number, slices: import('./harness.mjs').Slice[],
 *   first?: import('./harness.mjs').Slice}} Measured  first: the slice before it was warm
 * @typedef {{row: string, threads: number, limit?: import('./limits.mjs').Reachable,
 *   targets: Record<string, Measured | {failed: string} | {leftOut: string}>,
 *   ratios: Record<string, number>, firstRatios: Record<string, number>}} Result  ratios: cloudhsm-local's operations to another
 *   target's, and a split target's to those of SoftHSM behind p11-kit; firstRatios: the same of the first slices
 */

export function median(numbers) {
  const sorted = numbers.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/**
 * @param {import('./rows.mjs').Row} row
 * @param {import('./targets/target.mjs').Target[]} targets
 * @param {import('./limits.mjs').Limits | undefined} limits
 * @param {{rounds: number, seconds: number, warmUp: number}} options
 * @param {(step: string) => void} onStep
 */
export async function measureRow(row, threads, targets, limits, { rounds, seconds, warmUp }, onStep) {
  /** @type {Result} */
  const result = { row: row.name, threads, targets: {}, ratios: {}, firstRatios: {} };
  const entries = [];
  const slice = seconds * (row.slice ?? 1);
  /** Runs a step of one target; its failure ends this row for this target only. */
  const attempt = async (target, step) => {
    try {
      await step();
    } catch ({ message }) {
      const excuse = target.excuse?.(message);
      result.targets[target.name] = excuse === undefined ? { failed: message } : { leftOut: excuse };
    }
  };
  const noteLimit = async () => {
    onStep('limit');
    result.limit = await limits?.of(row, threads);
  };
  for (const target of targets) {
    if (tokenKeysOf(row) > target.maxTokenKeys) {
      result.targets[target.name] = {
        leftOut: `it takes ${target.maxTokenKeys} token keys at most in good time`,
      };
      continue;
    }
    onStep(`${target.title}: preparing`);
    await attempt(target, async () => {
      const prepared = await PreparedRow.prepare(target, row, threads);
      entries.push({ target, prepared, slices: [] });
    });
  }
  const running = () => entries.filter(({ target }) => result.targets[target.name] === undefined);
  for (const entry of running()) {
    const { target, prepared } = entry;
    onStep(`${target.title}: warming up`);
    await attempt(target, async () => {
      const known = warm.get(target) ?? new Set();
      if (known.has(row.name)) {
        await prepared.measure(slice * PACE);
        return;
      }
      warm.set(target, known.add(row.name));
      entry.first = await prepared.measure(slice);
      await prepared.measure(warmUp);
    });
  }
  await noteLimit();
  for (let round = 1; round <= rounds; round++) {
    for (const { target, prepared, slices } of running()) {
      onStep(`${target.title}: round ${round} of ${rounds}`);
      await attempt(target, async () => slices.push(await prepared.measure(slice)));
    }
  }
  for (const { target, slices, first } of running())
    result.targets[target.name] = { ...summary(slices), first };
  await noteLimit();
  await Promise.all(entries.map(({ prepared }) => prepared.end()));
  return withRatios(result);
}

function summary(slices) {
  const of = (field) => median(slices.map((slice) => slice[field]));
  return { opsPerSecond: of('opsPerSecond'), p50Us: of('p50Us'), p99Us: of('p99Us'), slices };
}

/**
 * The parts of a mix as results of their own.
 * @param {Result} result @returns {Result[]}
 */
export function partsOf(result) {
  const measured = Object.entries(result.targets).filter(([, { slices }]) => slices !== undefined);
  const names = measured[0]?.[1].slices[0].parts.map(({ row }) => row) ?? [];
  return names.map((name, at) => {
    const targets = measured.map(([target, { slices }]) => [
      target,
      summary(slices.map(({ parts }) => parts[at])),
    ]);
    return withRatios({
      row: name,
      threads: result.threads,
      targets: Object.fromEntries(targets),
      ratios: {},
      firstRatios: {},
    });
  });
}

/** The median over the rounds of neighbouring slices: what slows a whole round down leaves it as it is. */
function withRatios(result) {
  const ratio = (one, other) =>
    median(other.slices.map((slice, round) => one.slices[round].opsPerSecond / slice.opsPerSecond));
  const compare = (name, one, other) => {
    result.ratios[name] = ratio(one, other);
    if (one.first !== undefined && other.first !== undefined)
      result.firstRatios[name] = one.first.opsPerSecond / other.first.opsPerSecond;
  };
  const measured = Object.entries(result.targets).filter(([, { slices }]) => slices !== undefined);
  const { 'cloudhsm-local': own, 'p11-kit': p11kit } = Object.fromEntries(measured);
  for (const [name, other] of measured) {
    if (name in splitTargets) {
      if (p11kit !== undefined) compare(`${name}/p11-kit`, other, p11kit);
    } else if (own !== undefined && other !== own) compare(name, own, other);
  }
  return result;
}
