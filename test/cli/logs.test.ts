import { expect } from 'chai';
import { cloudhsmLocal, TestEngine } from '../support/engine.js';
import { generateAes } from '../support/keys.js';
import { TestModule } from '../support/module.js';

interface Log {
  readonly hsmId: string;
  readonly problem?: string;
  readonly records: readonly { sequence: number; opcode: string; rebootCounter: number }[];
}

describe('cloudhsm-local logs', function () {
  this.timeout(120_000);
  let engine: TestEngine;

  before(async () => {
    engine = await TestEngine.start();
  });

  after(() => engine.stop());

  const logs = async (...words: string[]): Promise<Log[]> => {
    const { code, stdout, stderr } = await cloudhsmLocal(['logs', '--home', engine.home, '--json', ...words]);
    expect(code, stderr).to.equal(0);
    return JSON.parse(stdout);
  };

  const tokenKey = async (): Promise<void> => {
    const module = new TestModule(engine);
    const session = module.openLoggedIn();
    generateAes(module, session, 32, [{ type: 1, value: true }]);
    module.close();
  };

  it('shows what was done, also after kill -9 of the engine, and after the next start', async () => {
    await tokenKey();
    await engine.kill();
    const stopped = await logs();
    expect(stopped).to.have.length(2);
    for (const { records } of stopped) expect(records.map(({ opcode }) => opcode)).to.include('CN_LOGIN');
    const opcodes = stopped.flatMap(({ records }) => records.map(({ opcode }) => opcode));
    expect(opcodes).to.include.members(['CN_GENERATE_KEY', 'CN_EXTRACT_MASKED_OBJECT_USER']);
    expect(opcodes).to.include('CN_INSERT_MASKED_OBJECT_USER');
    await engine.restart();
    await tokenKey();
    for (const [at, { records }] of (await logs()).entries()) {
      expect(records.slice(0, stopped[at]!.records.length)).to.deep.equal(stopped[at]!.records);
      expect(records.map(({ sequence }) => sequence)).to.deep.equal(records.map((_, place) => place));
      expect(records.at(-1)!.rebootCounter).to.be.greaterThan(records[0]!.rebootCounter);
    }
    for (const { problem } of await logs('--verify')) expect(problem).to.equal(undefined);
  });

  it('is for one HSM or all, for people too, and holds no password', async () => {
    const [first] = await logs();
    expect(await logs(first!.hsmId)).to.have.length(1);
    const { stdout } = await cloudhsmLocal(['logs', '--home', engine.home]);
    expect(stdout).to.match(
      /Opcode : CN_LOGIN \(0xd\)\nSession Handle : 0x[0-9a-f]+\nResponse : 0:HSM Return: SUCCESS/,
    );
    const { admin, cryptoUser } = engine.credentials;
    for (const { password } of [admin, cryptoUser]) expect(stdout).not.to.contain(password);
    const unknown = await cloudhsmLocal(['logs', '--home', engine.home, 'hsm-unknown']);
    expect(unknown.code).to.equal(6);
    expect(unknown.stderr).to.contain(first!.hsmId);
  });
});
