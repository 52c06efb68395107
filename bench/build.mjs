/* Compiles the harness and the limits when their sources are newer. No dependency but a C compiler. */
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { run } from './processes.mjs';

export const projectRoot = fileURLToPath(new URL('..', import.meta.url));
const sources = join(projectRoot, 'bench', 'harness');
const output = join(projectRoot, 'build', 'bench');
const header = join(projectRoot, 'native', 'pkcs11', 'generated', 'include', 'pkcs11t.h');

const flags = ['-std=c11', '-D_GNU_SOURCE', '-O2', '-Wall', '-Wextra', '-Werror', '-pthread'];
const limitsOnly = ['limits.c'];
const shared = ['histogram.c'];

export const harness = join(output, 'harness');
export const limits = join(output, 'limits');

function isFresh(program) {
  if (!existsSync(program)) return false;
  const files = [header, ...readdirSync(sources).map((file) => join(sources, file))];
  const built = statSync(program).mtimeMs;
  return files.every((file) => statSync(file).mtimeMs <= built);
}

async function compile(program, files) {
  if (isFresh(program)) return;
  const compiler = process.env['CC'] ?? 'cc';
  const words = [...flags, '-o', program, ...files.map((file) => join(sources, file)), '-ldl'];
  try {
    await run(compiler, words);
  } catch (error) {
    if (error.code !== 'ENOENT') throw error;
    throw new Error(
      `there is no C compiler ${compiler}: install one (Debian package gcc), or name one in CC`,
    );
  }
}

export async function buildHarness() {
  mkdirSync(output, { recursive: true });
  const files = readdirSync(sources).filter((file) => file.endsWith('.c'));
  await compile(
    harness,
    files.filter((file) => !limitsOnly.includes(file)),
  );
  await compile(limits, [...limitsOnly, ...shared]);
}

const codes = new Map(
  [...readFileSync(header, 'utf8').matchAll(/^#define (CKR_\w+) (0x[0-9a-f]+)UL$/gm)].map(
    ([, name, value]) => [Number(value), name],
  ),
);

/** `C_Sign answered 0x70` with the code's name beside it. */
export function withCodeNames(complaint) {
  return complaint.replace(/0x[0-9a-f]+/g, (code) => codes.get(Number(code)) ?? code);
}
