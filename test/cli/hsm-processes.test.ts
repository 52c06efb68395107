import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import pkcs11js from 'pkcs11js';
import { ApiOfHome, isWhole } from '../support/api-of-home.js';
import { cloudhsmLocal, TestEngine } from '../support/engine.js';
import { generateAes } from '../support/keys.js';
import { TestModule } from '../support/module.js';
import { until } from '../support/network.js';

interface Shown {
  readonly id: string;
  readonly state: string;
  readonly eniIp: string;
  readonly tokenKeys: number;
}

// The whole life of clusters is in control-plane.test.ts, for both ways to run HSMs.
describe('an engine whose HSMs are processes of their own', function () {
  this.timeout(120_000);
  let engine: TestEngine;
  let api: ApiOfHome;
  let module: TestModule;
  let session: Buffer;

  before(async () => {
    engine = await TestEngine.startWith({ hsmProcesses: true });
    api = new ApiOfHome(engine.home);
    module = new TestModule(engine);
    session = module.openLoggedIn();
  });
  after(async () => {
    api.close();
    await engine.stop();
  });

  const succeeds = async (...words: string[]): Promise<string> => {
    const { code, stdout, stderr } = await cloudhsmLocal([...words, '--home', engine.home]);
    expect(code, stderr).to.equal(0);
    return stdout;
  };
  const hsms = async (): Promise<Shown[]> => (await api.status()).clusters[0].hsms;

  /** Processes of HSMs of this home, by the sockets that they have: each has the id of its own. */
  async function processes(): Promise<Map<string, number>> {
    const run = join(engine.home, 'run');
    const ids = readdirSync(run).flatMap((name) => /^(hsm-\w+)\.sock$/.exec(name)?.[1] ?? []);
    const commands = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
    const found = new Map<string, number>();
    for (const pid of commands) {
      try {
        const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
        const id = ids.find((one) => words.includes(one));
        if (id !== undefined) found.set(id, Number(pid));
      } catch {
        // It has ended meanwhile.
      }
    }
    return found;
  }

  it('lets PKCS#11 programs make keys, which are on all of them', async () => {
    generateAes(module, session, 32, [{ type: pkcs11js.CKA_TOKEN, value: true }]);
    const shown = await hsms();
    expect(shown.map(({ state, tokenKeys }) => [state, tokenKeys])).to.deep.equal([
      ['ACTIVE', 1],
      ['ACTIVE', 1],
    ]);
    for (const { eniIp } of shown) expect(await api.keysAt(eniIp)).to.have.length(1);
    expect([...(await processes()).keys()]).to.have.members(shown.map(({ id }) => id));
  });

  it('answers for them: users, audit logs, metrics and faults', async () => {
    const [first, second] = await hsms();
    const logs = JSON.parse(await succeeds('logs', '--json')) as { hsmId: string; records: unknown[] }[];
    expect(logs.map(({ hsmId }) => hsmId)).to.have.members([first!.id, second!.id]);
    for (const { records } of logs) expect(records).not.to.deep.equal([]);
    const page = await succeeds('metrics');
    expect(page.match(/^HsmKeysTokenOccupied\{.*\} 1$/gm)).to.have.length(2);
    await succeeds('fault', second!.id, 'throttled');
    expect((await hsms()).map(({ state }) => state)).to.deep.equal(['ACTIVE', 'DEGRADED']);
    await succeeds('heal', second!.id);
  });

  it('starts the process of one again that was killed, while programs go on; its keys are there', async () => {
    const [first, second] = await hsms();
    const before = await processes();
    process.kill(before.get(first!.id)!, 'SIGKILL');
    generateAes(module, session, 32, [{ type: pkcs11js.CKA_TOKEN, value: false }]);
    await until(
      async () => ((await processes()).get(first!.id) ?? before.get(first!.id)) !== before.get(first!.id),
    );
    await until(async () => (await hsms())[0]!.state === 'ACTIVE');
    expect(await api.keysAt(first!.eniIp)).to.have.length(1);
    expect((await processes()).get(second!.id)).to.equal(before.get(second!.id));
    const [cluster] = await api.clusters();
    expect(isWhole(cluster!)).to.equal(true);
    expect(cluster!.Hsms!.map(({ HsmId }) => HsmId)).to.deep.equal([first!.id, second!.id]);
  });

  it('takes them along when it is killed, and has them again when it is started', async () => {
    const shown = await hsms();
    const before = await processes();
    module.close();
    await engine.kill();
    await until(async () => (await processes()).size === 0);
    await engine.restart();
    expect(await hsms()).to.deep.equal(shown);
    for (const { eniIp } of shown) expect(await api.keysAt(eniIp)).to.have.length(1);
    expect([...(await processes()).values()].some((pid) => [...before.values()].includes(pid))).to.equal(
      false,
    );
    await succeeds('down');
    expect((await processes()).size).to.equal(0);
    for (const { id } of shown) expect(existsSync(join(engine.home, 'run', `${id}.sock`))).to.equal(false);
  });
});
