import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import pkcs11js from 'pkcs11js';
import { binary, cloudhsmLocal, run, TestEngine } from '../support/engine.js';
import { TestModule } from '../support/module.js';

describe('cloudhsm-local report', () => {
  let engine: TestEngine;

  const report = (...options: string[]) => cloudhsmLocal(['report', '--home', engine.home, ...options]);
  const ids = async (): Promise<string[]> =>
    JSON.parse((await report('--json')).stdout).deviations.map(({ id }: { id: string }) => id);

  /** A program that opens sessions, as it should or not. */
  function openSessions(flags: number): void {
    const module = new TestModule(engine);
    module.p11.C_CloseSession(module.openSession(flags));
    module.close();
  }
  const deviate = (): void => openSessions(pkcs11js.CKF_SERIAL_SESSION);

  before(async () => {
    engine = await TestEngine.start();
  });

  after(async () => {
    await engine?.stop();
  });

  beforeEach(async () => {
    await report('--clear');
  });

  it('has nothing to say, and lets pass, while programs do what CloudHSM accepts', async () => {
    openSessions(pkcs11js.CKF_SERIAL_SESSION | pkcs11js.CKF_RW_SESSION);
    const { code, stdout } = await report('--fail-on-deviation');
    expect(code).to.equal(0);
    expect(stdout).to.contain('No deviations');
  });

  it('says what a program did, how often, what CloudHSM answers, and how to fix it', async () => {
    deviate();
    deviate();
    const { code, stdout } = await report();
    expect(code).to.equal(0);
    for (const words of ['read-only-session', 'CKR_FUNCTION_FAILED', 'fix: set CKF_RW_SESSION']) {
      expect(stdout).to.contain(words);
    }
    expect(stdout).to.match(/C_OpenSession +node +2 +\d{4}-\d\d-\d\dT[\d:]+Z/);
    const [line] = JSON.parse((await report('--json')).stdout).deviations;
    expect(line).to.include({
      id: 'read-only-session',
      call: 'C_OpenSession',
      program: 'node',
      count: 2,
      cloudhsm: 'CKR_FUNCTION_FAILED',
      advisory: false,
    });
    expect(Date.parse(line.first)).to.be.at.most(Date.parse(line.last));
  });

  it('fails a CI job that deviates, and only that', async () => {
    deviate();
    expect((await report('--fail-on-deviation')).code).to.equal(1);
    await report('--clear');
    expect((await report('--fail-on-deviation')).code).to.equal(0);
  });

  it('mentions what is only different, and fails nobody for it', async () => {
    const module = new TestModule(engine);
    module.p11.C_GetTokenInfo(module.slot);
    module.close();
    expect(await ids()).to.deep.equal(['token-flags']);
    expect((await report('--fail-on-deviation')).code).to.equal(0);
  });

  it('is counted by status, and said once in the log', async () => {
    deviate();
    deviate();
    const status = await cloudhsmLocal(['status', '--home', engine.home]);
    expect(status.stdout).to.contain('deviations from CloudHSM: 1');
    const lines = engine.log.split('\n').filter((line) => line.includes('"deviation":"read-only-session"'));
    expect(lines.at(-1)).to.contain('node opens a read-only session (C_OpenSession). CloudHSM answers');
  });

  it('outlives the programs and the engine, until it is cleared', async () => {
    deviate();
    await cloudhsmLocal(['down', '--home', engine.home]);
    expect((await report('--fail-on-deviation')).code).to.equal(1);
    expect(await ids()).to.deep.equal(['read-only-session']);
    await engine.restart();
    expect(await ids()).to.deep.equal(['read-only-session']);
    await cloudhsmLocal(['down', '--home', engine.home]);
    await report('--clear');
    expect(await ids()).to.deep.equal([]);
    await engine.restart();
  });

  it('is not silent about a record that it cannot read, nor about a home that has none', async () => {
    await cloudhsmLocal(['down', '--home', engine.home]);
    writeFileSync(join(engine.home, 'readiness.json'), '{"uses": []}');
    const unreadable = await report('--fail-on-deviation');
    expect(unreadable.code).to.equal(6);
    expect(unreadable.stderr).to.contain('report --clear');
    rmSync(join(engine.home, 'readiness.json'));
    await engine.restart();
    const nowhere = await run(process.execPath, [binary, 'report', '--home', `${engine.home}/none`]);
    expect(nowhere.code).to.equal(4);
  });
});
