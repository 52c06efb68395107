#!/usr/bin/env node
/*
 * npm test: builds, then format, lint, types and every test. The last line says how many passed.
 *
 *   node scripts/test.mjs [mocha options and files]
 *
 * The whole run does two files at a time: many of them wait for programs, disks and clocks. Those that take longest come first,
 * so that none is left for one process alone in the end.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const bin = (name) => join(root, 'node_modules', '.bin', name);
const words = process.argv.slice(2);

/** Those of more than 40 s, the longest first. */
const long = [
  'tutorials/tutorials',
  'cli/node-versions',
  'cli/default-cluster',
  'cli/lifecycle',
  'native/memory-errors',
  'interop/java',
  'interop/nginx',
  'cli/membership',
  'interop/profiles',
  'hsm/durability',
  'cli/usage',
  'cryptoki/deviations',
];

/** All test files, in the order in which they are begun. */
function testFiles() {
  const names = readdirSync(join(root, 'dist', 'test'), { recursive: true })
    .filter((file) => file.endsWith('.test.js'))
    .map((file) => file.slice(0, -'.test.js'.length))
    .sort();
  const gone = long.filter((name) => !names.includes(name));
  if (gone.length > 0) throw new Error(`scripts/test.mjs names tests that are not there: ${gone.join(', ')}`);
  const rest = names.filter((name) => !long.includes(name));
  return [...long, ...rest].map((name) => join('dist', 'test', `${name}.test.js`));
}

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
    ...(words.length > 0 ? words : ['--parallel', '--jobs', '2', ...testFiles()]),
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
