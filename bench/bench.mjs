import { measureBackup } from './backup.mjs';
import { measureIdle, measureStatusUnderLoad } from './engine-liveness.mjs';
import { measureEngineStart } from './engine-start.mjs';
import { populate } from './harness.mjs';
import { Limits } from './limits.mjs';
import { measureRow, partsOf } from './measure.mjs';
import { threadsOf, tokenKeysOf } from './rows.mjs';
import { backupLine, engineLine, heading, livenessLine, resultLine, splitLine } from './table.mjs';
import { startCloudhsmLocal } from './targets/cloudhsm-local.mjs';
import { startP11Kit } from './targets/p11-kit.mjs';
import { startSoftHsm } from './targets/softhsm.mjs';
import { splitTargets, startSplit } from './targets/split.mjs';
import { Missing } from './targets/target.mjs';

const POPULATING_THREADS = 8;

/** One run: the targets with their tokens, and what was measured on them. */
export class Bench {
  /** @type {import('./targets/target.mjs').Target[]} */
  #targets = [];
  #results = [];
  #engineResults = [];
  #livenessResults = [];
  #backupResults = [];
  #limits;
  #roundTrips;
  /** Token keys by target. */
  #keys = new Map();
  #populated = {};
  /** What the reader must know beside the table. */
  notes = [];
  failed = false;

  /** @param {import('./options.mjs').Options} options @param {import('./progress.mjs').Progress} progress */
  constructor(folder, options, progress) {
    this.folder = folder;
    this.options = options;
    this.progress = progress;
    this.#limits = options.limits ? new Limits(folder, options) : undefined;
  }

  async start() {
    await this.#startTarget('cloudhsm-local', () => startCloudhsmLocal(this.folder));
    const softhsm = await this.#startTarget('softhsm', () => startSoftHsm(this.folder));
    await this.#startTarget('p11-kit', () => startP11Kit(this.folder, softhsm));
    for (const name of Object.keys(splitTargets).filter((one) => this.options.targets?.includes(one)))
      await this.#startTarget(name, () => startSplit(name, this.folder));
    if (this.#targets.length === 0) throw new Error('there is no target');
  }

  async #startTarget(name, start) {
    const { targets } = this.options;
    // p11-kit serves SoftHSM's token, so SoftHSM must be there for it.
    const wanted = targets === undefined || targets.includes(name);
    if (!wanted && !(name === 'softhsm' && targets.includes('p11-kit'))) return undefined;
    this.progress.begin(`starting ${name}`);
    try {
      const target = await start();
      this.#targets.push(target);
      return target;
    } catch (error) {
      if (!(error instanceof Missing)) throw error;
      this.#note(`${name} is left out: ${error.message}`);
      return undefined;
    }
  }

  #note(text) {
    if (!this.notes.includes(text)) this.notes.push(text);
  }

  async run(rows) {
    const work = rows.flatMap((row) => threadsOf(row, this.options).map((threads) => ({ row, threads })));
    this.progress.print(heading());
    for (const [at, { row, threads }] of work.entries()) {
      await this.#populate(row);
      this.progress.begin(
        `[${at + 1}/${work.length}] ${row.name}, ${threads} thread${threads > 1 ? 's' : ''}`,
      );
      if (row.engine) await this.#engineRow(row);
      else await this.#moduleRow(row, threads);
    }
    this.#roundTrips = await this.#limits?.all();
    if (this.#limits?.missing !== undefined) this.#note(this.#limits.missing);
  }

  async #moduleRow(row, threads) {
    const { progress, options } = this;
    const onStep = (text) => progress.step(text);
    const result = await measureRow(row, threads, this.#targets, this.#limits, options, onStep);
    for (const [name, { failed, leftOut }] of Object.entries(result.targets)) {
      if (leftOut !== undefined) this.#note(`${row.name} is left out for ${name}: ${leftOut}`);
      if (failed === undefined) continue;
      this.failed = true;
      this.#note(`FAILED: ${row.name} on ${name}, threads ${threads}: ${failed}`);
    }
    this.#results.push(result);
    progress.print(resultLine(row, result));
    for (const part of partsOf(result)) progress.print(resultLine({ name: `  ${part.row}` }, part));
    for (const { name, title } of this.#targets.filter((target) => target.name in splitTargets))
      progress.print(splitLine(title, name, result));
  }

  async #engineRow(row) {
    const target = this.#targets.find(({ name }) => name === 'cloudhsm-local');
    if (target === undefined) return;
    const onStep = (text) => this.progress.step(text);
    if (row.engine === 'backup') {
      const result = await measureBackup(row, target, this.options, onStep);
      this.#backupResults.push(result);
      this.progress.print(backupLine(result));
      return;
    }
    if (row.engine !== 'start') {
      const measure = row.engine === 'idle' ? measureIdle : measureStatusUnderLoad;
      const result = await measure(row, target, this.options, onStep);
      this.#livenessResults.push(result);
      this.progress.print(livenessLine(result));
      return;
    }
    for (const result of await measureEngineStart(row, target.engine, this.folder, this.options, onStep)) {
      this.#engineResults.push(result);
      this.progress.print(engineLine(result));
    }
  }

  /** Gives every target as many token keys as the row needs. */
  async #populate(row) {
    const wanted = tokenKeysOf(row);
    for (const target of this.#targets) {
      const present = this.#keys.get(target.name) ?? 0;
      if (target.sharesTokenOf !== undefined || wanted <= present || wanted > target.maxTokenKeys) continue;
      const started = performance.now();
      this.progress.begin(`${target.title}: making token keys up to ${wanted}`);
      await populate(target, present, wanted, POPULATING_THREADS, (made) =>
        this.progress.step(`${made} of ${wanted}`),
      );
      this.#keys.set(target.name, wanted);
      const perSecond = ((wanted - present) * 1000) / (performance.now() - started);
      this.#populated[target.name] = { ...this.#populated[target.name], [wanted]: perSecond };
    }
  }

  facts() {
    return {
      results: this.#results,
      engine: this.#engineResults,
      liveness: this.#livenessResults,
      backups: this.#backupResults,
      /** Token keys made per second with several threads, by how many there were in the end. */
      populated: this.#populated,
      roundTrips: this.#roundTrips,
      notes: this.notes,
    };
  }

  /** Ends what was started, in the reverse order. */
  async stop() {
    for (const target of this.#targets.toReversed()) {
      await target.stop().catch((error) => console.error(`${target.name} did not end: ${error.message}`));
    }
  }
}
