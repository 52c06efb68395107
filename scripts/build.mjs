#!/usr/bin/env node
/*
 * Builds what is out of date: the TypeScript, the Node addon, the C module, and the programs that bin/ runs. Nothing is
 * downloaded: the addon's headers are those that lie beside the running Node.
 *
 *   node scripts/build.mjs [--only typescript|addon|module] [--force]
 */
import { spawn } from 'node:child_process';
import {
  existsSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const bin = (name) => join(root, 'node_modules', '.bin', name);
const only = process.argv.includes('--only') ? process.argv[process.argv.indexOf('--only') + 1] : undefined;
const force = process.argv.includes('--force');

/** Node's headers: beside its binary, where every distribution of Node puts them. */
function headersFolder() {
  const folder = dirname(dirname(process.execPath));
  return existsSync(join(folder, 'include', 'node', 'node_api.h')) ? folder : undefined;
}

function filesBelow(path) {
  if (!statSync(path).isDirectory()) return [path];
  return readdirSync(path).flatMap((entry) => filesBelow(join(path, entry)));
}

function newest(paths) {
  return Math.max(
    ...paths.flatMap((path) => filesBelow(join(root, path))).map((file) => statSync(file).mtimeMs),
  );
}

/** Every file with its size and its time: what the compiler has seen, without a second for asking it. */
function stampOf(sources) {
  const files = sources.flatMap((path) => filesBelow(join(root, path)));
  return files.map((file) => `${file} ${statSync(file).size} ${statSync(file).mtimeMs}`).join('\n');
}

function isFresh({ output, sources, stamp }) {
  if (force || !existsSync(join(root, output))) return false;
  if (stamp === undefined) return statSync(join(root, output)).mtimeMs >= newest(sources);
  return existsSync(join(root, stamp)) && readFileSync(join(root, stamp), 'utf8') === stampOf(sources);
}

const headers = headersFolder();

/** THE row per program: its name, and the module of dist/src that it begins with. bin/ and the engine run these, and nothing else. */
const programs = {
  'cloudhsm-local': 'cli/main',
  'hosted-hsm': 'cli/api-hsms/hosted-hsm-main',
  'cloudhsm-cli': 'tools/cloudhsm-cli/main',
  'cloudhsm-mgmt-util': 'tools/cloudhsm-mgmt-util/main',
  'key-mgmt-util': 'tools/key-mgmt-util/main',
  'configure-sdk3': 'tools/configure/sdk3',
  'configure-sdk5': 'tools/configure/main',
  'run-tool': 'base/output',
};

/** As deep as the rooms in dist/src are: a module finds the root of the package from where it is. */
const programFolder = join('dist', 'bundle', 'programs');

/** What is not bundled: it is loaded late, has a native part, or finds files of its own beside it. */
const notBundled = ['@aws-sdk/*', 'lmdb', 'pino'];

/** CommonJS in the bundle asks for Node's modules with it. */
const requireInBundle =
  'import { createRequire as makeRequire } from "node:module"; const require = makeRequire(import.meta.url);';

// In this order: configuring the addon empties build/.
const steps = [
  {
    name: 'typescript',
    title: 'compiling TypeScript',
    output: 'dist/src/cli/main.js',
    stamp: 'dist/.built',
    sources: ['src', 'test', 'tsconfig.json', 'package-lock.json'],
    command: [bin('tsc'), '-p', '.'],
    after: removeOrphans,
  },
  {
    name: 'addon',
    title: 'building the Node addon',
    output: 'build/Release/cloudhsm_local.node',
    sources: ['native/addon', 'native/shared', 'binding.gyp'],
    command: [
      bin('node-gyp'),
      'rebuild',
      '--jobs=max',
      '--silent',
      ...(headers === undefined ? [] : [`--nodedir=${headers}`]),
    ],
  },
  {
    name: 'module',
    title: 'building the PKCS#11 module and the OpenSSL engine',
    output: 'build/pkcs11/libcloudhsm_pkcs11.so',
    sources: ['native/pkcs11', 'native/openssl', 'native/shared'],
    command: [
      bin('cmake-js'),
      'build',
      '--directory',
      join(root, 'native', 'pkcs11'),
      '--out',
      join(root, 'build', 'pkcs11'),
      '--log-level',
      'error',
      ...(headers === undefined
        ? []
        : [`--CDCLOUDHSM_LOCAL_NODE_HEADERS=${join(headers, 'include', 'node')}`]),
    ],
  },
  {
    // Node takes about a millisecond for each module that it loads, of which an engine has five hundred.
    name: 'typescript',
    title: 'bundling the programs',
    output: join(programFolder, 'cloudhsm-local.js'),
    sources: ['dist/src', 'scripts/build.mjs', 'package-lock.json'],
    before: () => rmSync(join(root, programFolder), { recursive: true, force: true }),
    command: [
      bin('esbuild'),
      ...Object.entries(programs).map(([name, module]) => `${name}=dist/src/${module}.js`),
      `--outdir=${programFolder}`,
      '--bundle',
      '--splitting',
      '--format=esm',
      '--platform=node',
      '--target=node20.19',
      '--sourcemap',
      '--sources-content=false',
      '--chunk-names=[name]-[hash]',
      ...notBundled.map((name) => `--external:${name}`),
      `--banner:js=${requireInBundle}`,
      '--log-level=warning',
    ],
  },
];

/** Runs a command; its output is shown only if it fails. */
function run([command, ...words]) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, words, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (part) => (output += part));
    child.on('error', reject);
    child.on('close', (code) =>
      code === 0 ? resolve() : reject(new Error(`${command} ended with ${code}\n${output}`)),
    );
  });
}

/** `npx cloudhsm-local` in the checkout: without this link npm packs and installs the whole checkout at every call. */
function linkCommand() {
  const link = bin('cloudhsm-local');
  const target = join('..', '..', 'bin', 'cloudhsm-local.mjs');
  try {
    if (readlinkSync(link) === target) return;
  } catch {
    // There is none, or a file.
  }
  rmSync(link, { force: true });
  symlinkSync(target, link);
}

/** Removes what was compiled from sources that are gone: the compiler leaves it, and mocha would run it. */
function removeOrphans() {
  for (const file of filesBelow(join(root, 'dist'))) {
    const source = file.replace(join(root, 'dist'), root.slice(0, -1)).replace(/\.js(\.map)?$/, '.ts');
    if (source !== file && source.endsWith('.ts') && !existsSync(source)) rmSync(file);
  }
}

linkCommand();
const terminal = process.stderr.isTTY;
for (const [at, step] of steps.entries()) {
  if ((only !== undefined && only !== step.name) || isFresh(step)) continue;
  const title = `[${at + 1}/${steps.length}] ${step.title}`;
  process.stderr.write(terminal ? `${title} …` : `${title}\n`);
  const started = Date.now();
  try {
    // What changes while it is compiled is compiled again.
    const stamp = step.stamp && stampOf(step.sources);
    step.before?.();
    await run(step.command);
    step.after?.();
    if (step.stamp !== undefined) writeFileSync(join(root, step.stamp), stamp);
    // A change that does not concern the output leaves it as it was: it is fresh all the same.
    else utimesSync(join(root, step.output), new Date(), new Date());
  } catch (error) {
    const missing = error.code === 'ENOENT' ? ': run `npm ci` first' : '';
    process.stderr.write(`\n${error.message}${missing}\n`);
    process.exit(1);
  }
  if (terminal) process.stderr.write(`\r\x1b[K${title}: ${((Date.now() - started) / 1000).toFixed(1)} s\n`);
}
