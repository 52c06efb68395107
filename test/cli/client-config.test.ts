import { copyFileSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { expect } from 'chai';
import { confFolder, TestEngine } from '../support/engine.js';

const pkcs11js = createRequire(import.meta.url).resolve('pkcs11js');
const listSlots = [
  '-e',
  `
  import(process.env.PKCS11JS).then(({ default: { PKCS11 } }) => {
    const p11 = new PKCS11();
    p11.load(process.env.PKCS11_MODULE_PATH);
    p11.C_Initialize();
    console.log(p11.C_GetSlotList(true).length);
    p11.C_Finalize();
  });
`,
];

const openUnknownSlot = `
  import(process.env.PKCS11JS).then(({ default: { PKCS11 } }) => {
    const p11 = new PKCS11();
    p11.load(process.env.PKCS11_MODULE_PATH);
    p11.C_Initialize();
    try {
      p11.C_OpenSession(Buffer.alloc(8), 6);
    } catch {}
    console.log(process.pid);
    p11.C_Finalize();
  });
`;

describe('cloudhsm-pkcs11.cfg of a program', () => {
  let engine: TestEngine;
  before(async () => {
    engine = await TestEngine.start(['--hsms', '1']);
  });
  after(() => engine.stop());

  const file = (name: string, contents: object): string => {
    const path = join(engine.home, 'run', name);
    writeFileSync(path, JSON.stringify(contents));
    return path;
  };
  const program = (env: NodeJS.ProcessEnv = {}, cwd?: string) =>
    engine.run(process.execPath, listSlots, {
      env: { ...env, PKCS11JS: pkcs11js },
      ...(cwd !== undefined && { cwd }),
    });

  it("is the home's, and the sample in conf is one", async () => {
    copyFileSync(join(confFolder, 'cloudhsm-pkcs11.cfg'), join(engine.home, 'cloudhsm-pkcs11.cfg'));
    const { stdout, stderr } = await program();
    expect([stdout, stderr]).to.deep.equal(['1\n', '']);
  });

  it('is the one it names, also relative to its own folder; C_Initialize fails with the reason on stderr', async () => {
    const path = file('bad.cfg', { clusters: [{ cluster: { cluster_id: 'cluster-aaaaaaaaaaa' } }] });
    const expected = `refused this program: ${path} cannot be used: clusters[0].cluster.cluster_id`;
    const absolute = await program({ CLOUDHSM_PKCS11_CONFIG: path });
    expect(absolute.stderr).to.include(expected).and.include('CKR_FUNCTION_FAILED');
    const relative = await program({ CLOUDHSM_PKCS11_CONFIG: 'bad.cfg' }, join(engine.home, 'run'));
    expect(relative.stderr).to.include(expected);
  });

  it('is read in C_Initialize: what is written later counts for programs that come later', async () => {
    const path = file('late.cfg', { logging: { log_level: 3 } });
    expect((await program({ CLOUDHSM_PKCS11_CONFIG: path })).stderr).to.include('logging.log_level');
    file('late.cfg', { logging: { log_level: 'error' } });
    expect((await program({ CLOUDHSM_PKCS11_CONFIG: path })).stdout).to.equal('1\n');
  });

  it("has its failures in the library's log, each once, with its own pid, and in the engine's log once", async () => {
    const path = join(engine.home, 'run', 'own.log');
    const config = file('log.cfg', { logging: { log_file: path, log_level: 'error' } });
    const script = ['-e', openUnknownSlot];
    const options = { env: { CLOUDHSM_PKCS11_CONFIG: config, PKCS11JS: pkcs11js } };
    const before = engine.log.split('C_OpenSession failed').length;
    const { stdout } = await engine.run(process.execPath, script, options);
    const [cause, outcome, ...more] = readFileSync(path, 'utf8').trim().split('\n');
    const head = `ERROR [${stdout.trim()}] ThreadId(1) [cloudhsm_pkcs11::session::C_OpenSession]`;
    expect(cause).to.include(`${head} there is no such slot`);
    expect(outcome).to.include(`${head} C_OpenSession failed, returning 0x00000003`);
    expect(more).to.deep.equal([]);
    expect(engine.log.split('C_OpenSession failed').length).to.equal(before + 1);
    expect(statSync(path).mode & 0o777).to.equal(0o600);
  });

  it("without a word about its log has it in the home's run folder", async () => {
    await program({ CLOUDHSM_PKCS11_CONFIG: file('empty.cfg', {}) });
    const log = readFileSync(join(engine.home, 'run', 'cloudhsm-pkcs11.log'), 'utf8');
    expect(log).to.include(' INFO [').and.include('is connecting');
  });
});
