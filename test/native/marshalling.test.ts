import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { headersFolder } from '../../src/cli/installation.js';
import { calls } from '../../src/wire/calls.js';
import { buildNative, modulePath, nativeProgram, runProgram } from './build-native.js';

const linesOf = (program: string, ...args: string[]): string[] =>
  execFileSync(program, args, { encoding: 'utf8' }).trim().split('\n');

describe('the C module', function () {
  this.timeout(180_000);
  before(buildNative);

  it('marshals within bounds, under ASan and UBSan', async () => {
    const { code, lines, errors } = await runProgram(nativeProgram('marshalling_test'), [], {
      MUTATIONS: process.env['MUTATIONS'] ?? '300000',
    });
    expect(errors).to.deep.equal([]);
    expect(code, lines.join('\n')).to.equal(0);
    expect(lines.at(-1)).to.match(/^marshalling: \d+ checks passed, 0 failed$/);
  });

  it('exports the functions of the standard and nothing else', () => {
    const names = linesOf('nm', '-D', '--defined-only', modulePath).map((line) => line.split(' ').at(-1));
    expect(names).to.have.members(calls.map(({ name }) => name));
    expect(names).to.have.length(68);
  });

  it('needs the C library only, and stays loaded', () => {
    const dynamic = linesOf('readelf', '-d', modulePath);
    const needed = dynamic.flatMap((line) => /\(NEEDED\).*\[(.*)\]/.exec(line)?.[1] ?? []);
    for (const name of needed) expect(name).to.match(/^(libc|libpthread|ld-linux.*|ld-musl.*)\.so/);
    const flags = dynamic.filter((line) => line.includes('FLAGS')).join(' ');
    for (const flag of ['SYMBOLIC', 'NODELETE', 'NOW']) expect(flags).to.include(flag);
  });

  it('has no thread-local storage', () => {
    expect(linesOf('readelf', '-lW', modulePath).filter((line) => /^\s*TLS/.test(line))).to.deep.equal([]);
  });

  it('gives its function list without an engine', async () => {
    const { lines } = await runProgram(nativeProgram('lifecycle_client'), [modulePath, 'functions']);
    expect(lines).to.deep.equal(['version 2.40, 68 functions']);
  });

  it('comes with the headers that programs for CloudHSM include', () => {
    const folder = mkdtempSync(join(tmpdir(), 'cryptoki-'));
    const program = `
#include <cryptoki.h>
#include <cloudhsm_pkcs11_vendor_defs.h>
CK_RV rv = CKR_OK;
CK_GCM_PARAMS gcm;
CK_SP800_108_COUNTER_FORMAT counter = {32};
CK_PRF_DATA_PARAM data = {SP800_108_COUNTER_FORMAT, &counter, sizeof counter};
CK_MECHANISM_TYPE type = CKM_SP800_108_COUNTER_KDF;
int main(void)
{
  CK_C_GetFunctionList get = &C_GetFunctionList;
  CK_FUNCTION_LIST_PTR list;
  return get(&list) == CKR_OK && list->C_Initialize == 0 ? (int)CKM_MD5 : 0;
}
`;
    const include = `-I${headersFolder}`;
    try {
      for (const [compiler, file] of [
        [['cc', '-std=c99'], 'a.c'],
        [['c++', '-std=c++11'], 'a.cc'],
      ] as const) {
        writeFileSync(join(folder, file), program);
        const [command, standard] = compiler;
        const words = [
          standard,
          '-Wall',
          '-Wextra',
          '-Wpedantic',
          '-Werror',
          include,
          '-c',
          file,
          '-o',
          'a.o',
        ];
        execFileSync(command, words, { cwd: folder });
      }
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
