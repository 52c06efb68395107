#!/usr/bin/env node
/*
 * npm test: builds, then format, lint, types and every test. The last line says how many passed.
 *
 *   node scripts/test.mjs [mocha options and files]
 *
 * The whole run does two files at a time: many of them wait for programs, disks and clocks.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const bin = (name) => join(root, 'node_modules', '.bin', name);
const words = process.argv.slice(2);

function run(title, command, ...options) {
  console.log(`\n== ${title}`);
  const { status } = spawnSync(command, options, { cwd: root, stdio: 'inherit' });
  return status === 0;
}

const folder = mkdtempSync(join(tmpdir(), 'chl-test-'));
const countsFile = join(folder, 'counts.json');

// Type checking is the TypeScript build: it fails on the first error of a type.
const built = run('build and type check', process.execPath, 'scripts/build.mjs');
const clean = run('format and lint', bin('biome'), 'check', '--error-on-warnings', '.');
const tested =
  built &&
  run(
    'tests',
    bin('mocha'),
    // A set-up that failed half-way may have left an engine behind: the run must end all the same.
    '--exit',
    '--reporter',
    join(root, 'scripts', 'mocha-reporter.cjs'),
    '--reporter-option',
    `countsFile=${countsFile}`,
    ...(words.length > 0 ? words : ['--parallel', '--jobs', '2', 'dist/test/**/*.test.js']),
  );

let counts = { passed: 0, failed: 1, skipped: 0 };
try {
  counts = JSON.parse(readFileSync(countsFile, 'utf8'));
} catch {
  console.error('the tests did not come to their end');
}
rmSync(folder, { recursive: true, force: true });
const ok = built && clean && tested && counts.failed === 0 && counts.passed > 0;
if (!clean) console.error('\nformat or lint found something: `npm run format` mends most of it');
console.log(`\n${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`);
process.exit(ok ? 0 : 1);
