import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import pkcs11js from 'pkcs11js';
import { CKA } from '../../src/pkcs11/attributes.js';
import { CKR } from '../../src/pkcs11/ckr.js';
import { TestEngine } from '../support/engine.js';
import { generateAes } from '../support/keys.js';
import { LoopDisk } from '../support/loop-disk.js';
import { expectCkr, TestModule } from '../support/module.js';

const COMMITTED_MS = 1000;

/** A file system that becomes read-only under the files that are open on it, as one does whose disk fails. */
describe('a home on a disk that becomes read-only', () => {
  let engine: TestEngine | undefined;
  let disk: LoopDisk;

  before(async function () {
    disk = new LoopDisk();
    await disk.make(this);
  });

  after(async () => {
    if (engine !== undefined) await Promise.race([engine.kill(), sleep(5000)]);
    await disk.remove();
  });

  it('refuses what has to be written, serves the keys that it has, and loses none', async () => {
    engine = await TestEngine.start([], join(disk.folder, 'home'));
    let module = new TestModule(engine);
    let session = module.openLoggedIn();
    const token = { type: CKA.CKA_TOKEN, value: true };
    const encrypt = (key: Buffer): string => {
      module.p11.C_EncryptInit(session, { mechanism: pkcs11js.CKM_AES_ECB }, key);
      return module.p11.C_Encrypt(session, Buffer.alloc(16), Buffer.alloc(16)).toString('hex');
    };
    const keys = Array.from({ length: 20 }, () => generateAes(module, session, 32, [token]));
    const expected = keys.map(encrypt);

    // What has been written is in LMDB then: store/failing-disk has what happens in the middle of a commit.
    await sleep(COMMITTED_MS);
    await disk.fail();
    for (let times = 0; times < 3; times++) {
      expectCkr(CKR.CKR_TOKEN_WRITE_PROTECTED, () => generateAes(module, session, 32, [token]));
      expectCkr(CKR.CKR_TOKEN_WRITE_PROTECTED, () => module.p11.C_DestroyObject(session, keys[0]!));
      expect(keys.map(encrypt)).to.deep.equal(expected);
      expect(encrypt(generateAes(module, session))).to.match(/^[0-9a-f]{32}$/);
    }
    module.close();
    module = new TestModule(engine);
    session = module.openLoggedIn();
    expect(keys.map(encrypt), 'after another login').to.deep.equal(expected);
    module.close();
    await engine.kill();

    await disk.mend();
    await engine.restart();
    module = new TestModule(engine);
    session = module.openLoggedIn();
    expect(keys.map(encrypt), 'on a disk that is writable again').to.deep.equal(expected);
    expect(module.p11.C_FindObjectsInit(session, [token])).to.equal(undefined);
    expect(module.p11.C_FindObjects(session, 100)).to.have.length(keys.length);
    module.p11.C_FindObjectsFinal(session);
    expect(encrypt(generateAes(module, session, 32, [token]))).to.match(/^[0-9a-f]{32}$/);
    module.close();
    await engine.stop();
    engine = undefined;
  });
});
