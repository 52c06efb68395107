import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import pkcs11js from 'pkcs11js';
import { CKA } from '../../src/pkcs11/attributes.js';
import { CKR } from '../../src/pkcs11/ckr.js';
import { run, TestEngine } from '../support/engine.js';
import { generateAes } from '../support/keys.js';
import { expectCkr, TestModule } from '../support/module.js';

describe('a home on a full disk', () => {
  let folder: string;

  before(async function () {
    folder = mkdtempSync(join(tmpdir(), 'chl-'));
    const { code } = await run('mount', ['-t', 'tmpfs', '-o', 'size=4m', 'tmpfs', folder]);
    // Only root may mount.
    if (code !== 0) this.skip();
  });

  after(async () => {
    await run('umount', [folder]);
    rmSync(folder, { recursive: true, force: true });
  });

  it('refuses new token keys, serves those it has, and loses none', async () => {
    const engine = await TestEngine.start([], join(folder, 'home'));
    let module = new TestModule(engine);
    let session = module.openLoggedIn();
    const token = { type: CKA.CKA_TOKEN, value: true };
    const filler = { type: CKA.CKA_LABEL, value: 'x'.repeat(20_000) };
    const works = (key: Buffer): void => {
      module.p11.C_EncryptInit(session, { mechanism: pkcs11js.CKM_AES_ECB }, key);
      expect(module.p11.C_Encrypt(session, Buffer.alloc(16), Buffer.alloc(16))).to.have.length(16);
    };
    const keys: Buffer[] = [];
    expectCkr(CKR.CKR_DEVICE_MEMORY, () => {
      while (keys.length < 1000) keys.push(generateAes(module, session, 32, [token, filler]));
    });
    expect(keys.length).to.be.greaterThan(5);
    // Not even the log has room: a call that fails is still answered.
    writeFileSync(join(folder, 'rest'), '');
    expectCkr(CKR.CKR_OBJECT_HANDLE_INVALID, () => module.p11.C_DestroyObject(session, Buffer.alloc(8, 1)));
    for (const key of keys) works(key);
    generateAes(module, session);
    module.close();
    await engine.kill();
    rmSync(join(folder, 'rest'));
    await engine.restart();
    module = new TestModule(engine);
    session = module.openLoggedIn();
    for (const key of keys) works(key);
    module.close();
    await engine.stop();
  });
});
