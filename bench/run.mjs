#!/usr/bin/env node
/* The benchmark: the same work on cloudhsm-local and, where they are installed, on SoftHSM and on SoftHSM behind
 * p11-kit. `npm run bench -- --help` lists the options; docs/PERFORMANCE.md says how to read the table. */
import { mkdirSync, mkdtempSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { availableParallelism, cpus, release } from 'node:os';
import { join } from 'node:path';
import { Bench } from './bench.mjs';
import { buildHarness, projectRoot } from './build.mjs';
import { parseOptions, usage } from './options.mjs';
import { Progress } from './progress.mjs';
import { chosenRows, rowNames } from './rows.mjs';

const TMPFS = 0x01021994;

function machine() {
  return { cpus: availableParallelism(), model: cpus()[0]?.model, kernel: release(), node: process.version };
}

function saveResults(facts) {
  const folder = join(projectRoot, 'bench', 'results');
  mkdirSync(folder, { recursive: true });
  const file = join(folder, `${facts.startedAt.replace(/[:.]/g, '-')}.json`);
  writeFileSync(file, `${JSON.stringify(facts, null, 2)}\n`);
  return file;
}

async function main() {
  const options = parseOptions(process.argv.slice(2));
  if (options.help) return console.log(usage);
  if (options.list) return console.log(rowNames.join('\n'));
  const rows = chosenRows(options);
  const startedAt = new Date().toISOString();
  if (statfsSync(options.folder).type === TMPFS) {
    console.error(
      `${options.folder} is in memory: token keys cost no disk sync there. Choose another with --folder.`,
    );
  }
  const progress = new Progress();
  progress.begin('compiling the harness');
  await buildHarness();
  const folder = mkdtempSync(join(options.folder, 'chl-bench-'));
  const bench = new Bench(folder, options, progress);
  let ending;
  const end = () => {
    ending ??= bench.stop().finally(() => rmSync(folder, { recursive: true, force: true }));
    return ending;
  };
  for (const signal of ['SIGINT', 'SIGTERM'])
    process.once(signal, () => end().finally(() => process.exit(130)));
  try {
    await bench.start();
    await bench.run(rows);
  } finally {
    await end();
  }
  const file = saveResults({ startedAt, machine: machine(), options, ...bench.facts() });
  for (const text of bench.notes) console.log(text);
  console.log(`written to ${file}`);
  process.exitCode = bench.failed ? 1 : 0;
}

try {
  await main();
} catch (error) {
  console.error(`bench: ${error.message}`);
  process.exitCode = 1;
}
