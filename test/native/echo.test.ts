import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { CKA } from '../../src/pkcs11/attributes.js';
import { CKM } from '../../src/pkcs11/mechanisms.js';
import type { AnyInput } from '../../src/wire/arguments.js';
import { type ArgumentRow, type CallRow, calls } from '../../src/wire/calls.js';
import { buildNative, modulePath, nativeProgram, runProgram } from './build-native.js';
import { echo, numberOf } from './echo-handler.js';
import { FakeEngine } from './fake-engine.js';

function expectedInput({ name, kind }: ArgumentRow, call: string): unknown {
  switch (kind) {
    case 'session':
    case 'ulong':
      return numberOf(name);
    case 'slot':
      return 1;
    case 'flag':
      return true;
    case 'pointer':
      return call === 'C_OpenSession' && name === 'pApplication';
    case 'bytes':
      return Buffer.from(name);
    case 'text':
      return Buffer.from(name.padEnd(32));
    case 'mechanism': {
      const parameter = { layout: 'CK_GCM_PARAMS', pIv: Buffer.from('twelve bytes'), ulIvBits: 96 };
      return { type: CKM.CKM_AES_GCM, parameter: { ...parameter, pAAD: Buffer.from('aad'), ulTagBits: 128 } };
    }
    case 'template':
      return [
        { type: CKA.CKA_LABEL, value: Buffer.from(name) },
        {
          type: CKA.CKA_WRAP_TEMPLATE,
          value: Buffer.alloc(0),
          nested: [{ type: CKA.CKA_TOKEN, value: Buffer.from([1]) }],
        },
      ];
    case 'query':
      return [
        { type: CKA.CKA_LABEL, room: 16 },
        { type: CKA.CKA_ID, room: -1 },
        { type: CKA.CKA_VALUE, room: 8 },
      ];
    case 'room':
      return 64;
    case 'list':
    case 'slots':
      return 4;
    case 'upTo':
      return { room: 4, max: 4 };
    case 'fill':
      return 32;
    default:
      return undefined;
  }
}

const remote: readonly CallRow[] = calls.filter(
  ({ name }) => !['C_Initialize', 'C_Finalize', 'C_GetFunctionList'].includes(name),
);

describe('the C interpreter and the TypeScript one', function () {
  this.timeout(180_000);
  const received = new Map<string, AnyInput>();
  let folder: string;
  before(async () => {
    buildNative();
    folder = mkdtempSync(join(tmpdir(), 'echo-'));
    const engine = new FakeEngine((call, input) => {
      if (call.name !== 'C_Finalize') received.set(call.name, input);
      return echo(call);
    });
    const socket = join(folder, 'engine.sock');
    await engine.listen(socket);
    const env = { CLOUDHSM_LOCAL_SOCKET: socket };
    const { code, lines, errors } = await runProgram(nativeProgram('echo_client'), [modulePath], env);
    await engine.close();
    expect(errors).to.deep.equal([]);
    expect(lines).to.deep.equal([`${remote.length} calls, 0 wrong`]);
    expect(code).to.equal(0);
    expect([engine.applications, engine.joined, ...engine.programs]).to.deep.equal([1, 0, 'echo_client']);
  });
  after(() => rmSync(folder, { recursive: true }));

  for (const call of remote) {
    it(`agree on ${call.name}`, () => {
      const entries = call.arguments
        .map((row) => [row.name, expectedInput(row, call.name)] as const)
        .filter(([, value]) => value !== undefined);
      expect(received.get(call.name)).to.deep.equal(Object.fromEntries(entries));
    });
  }

  it('are tried with every call', () => {
    expect(remote).to.have.length(65);
    expect([...received.keys()]).to.deep.equal(remote.map(({ name }) => name));
  });
});
