import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { expect } from 'chai';
import pkcs11js from 'pkcs11js';
import { CKA } from '../../src/pkcs11/attributes.js';
import { CKR } from '../../src/pkcs11/ckr.js';
import { cloudhsmLocal, projectRoot, TestEngine } from '../support/engine.js';
import { generateAes } from '../support/keys.js';
import { recordsInLmdb } from '../support/lmdb.js';
import { TestModule } from '../support/module.js';

/** CLOUDHSM_LOCAL_KILLS lengthens it. */
const KILLS = Number(process.env['CLOUDHSM_LOCAL_KILLS'] ?? 5);
const WRITERS = 3;

/** A process that creates token keys as fast as it can until the engine is gone. It prints each label once the call
 * that made the key has returned; it is a process of its own because pkcs11js blocks. */
class Writer {
  /** Labels of acknowledged keys. */
  readonly labels: string[] = [];
  readonly begun: Promise<unknown>;
  readonly ended: Promise<unknown>;

  constructor(engine: TestEngine, name: string) {
    const script = join(projectRoot, 'dist', 'test', 'support', 'key-writer.js');
    const child = spawn(process.execPath, [script, name], {
      env: engine.env,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const lines = createInterface({ input: child.stdout });
    lines.on('line', (label) => this.labels.push(label));
    this.begun = once(lines, 'line');
    this.ended = once(child, 'close');
  }
}

async function tokenKeysOnEachHsm(engine: TestEngine): Promise<number[]> {
  const { stdout } = await cloudhsmLocal(['status', '--home', engine.home, '--json']);
  return JSON.parse(stdout).clusters[0].hsms.map((hsm: { tokenKeys: number }) => hsm.tokenKeys);
}

describe('a token key whose creation returned', function () {
  this.timeout(300_000);

  it(`is there after kill -9 of the engine, on both HSMs, ${KILLS} times at random moments`, async () => {
    const engine = await TestEngine.start();
    const expected = new Set<string>();
    for (let round = 0; round < KILLS; round++) {
      const writers = Array.from({ length: WRITERS }, (_, at) => new Writer(engine, `r${round}-w${at}`));
      await Promise.all(writers.map((writer) => writer.begun));
      await new Promise((resolve) => setTimeout(resolve, Math.random() * 500));
      await engine.kill();
      await Promise.all(writers.map((writer) => writer.ended));
      for (const { labels } of writers) for (const label of labels) expected.add(label);
      await engine.restart();
      const found = labelsInEngine(engine);
      const lost = [...expected].filter((label) => !found.has(label));
      expect(lost, `lost in round ${round}`).to.deep.equal([]);
      // A key that was on its way when the engine died may be on one HSM only: it was never acknowledged.
      for (const count of await tokenKeysOnEachHsm(engine)) expect(count).to.be.at.least(expected.size);
    }
    expect(expected.size).to.be.greaterThan(KILLS);
    await engine.stop();
  });

  it('is there after kill -9 when only the journal has it', async () => {
    const engine = await TestEngine.start();
    const hsms = join(engine.home, 'hsms');
    let onlyInJournal = 0;
    let keys = 0;
    for (let round = 0; round < 3; round++) {
      const module = new TestModule(engine);
      const session = module.openLoggedIn();
      const label = { type: CKA.CKA_LABEL, value: `key ${round}` };
      const key = generateAes(module, session, 32, [{ type: CKA.CKA_TOKEN, value: true }, label]);
      keys++;
      module.p11.C_SetAttributeValue(session, key, [{ type: CKA.CKA_LABEL, value: `changed ${round}` }]);
      generateAes(module, session, 32, [{ type: CKA.CKA_TOKEN, value: true }]);
      keys++;
      await engine.kill();
      module.close();
      for (const hsm of readdirSync(hsms))
        if ((await recordsInLmdb(join(hsms, hsm, 'store'), 'objects')) < keys) onlyInJournal++;
      await engine.restart();
      expect([...labelsInEngine(engine)]).to.include(`changed ${round}`);
      expect(await tokenKeysOnEachHsm(engine)).to.deep.equal([keys, keys]);
    }
    expect(onlyInJournal).to.be.greaterThan(0);
    await engine.stop();
  });
});

/** The labels of all keys that can be found and that still work. */
function labelsInEngine(engine: TestEngine): Set<string> {
  const module = new TestModule(engine);
  const { p11 } = module;
  const session = module.openLoggedIn();
  p11.C_FindObjectsInit(session, [{ type: CKA.CKA_TOKEN, value: true }]);
  const labels = new Set<string>();
  for (
    let found = p11.C_FindObjects(session, 100);
    found.length > 0;
    found = p11.C_FindObjects(session, 100)
  ) {
    for (const key of found) {
      if (!beginsEncryption(p11, session, key)) continue;
      p11.C_Encrypt(session, Buffer.alloc(16), Buffer.alloc(16));
      const [label] = p11.C_GetAttributeValue(session, key, [{ type: CKA.CKA_LABEL }]);
      labels.add((label!.value as Buffer).toString());
    }
  }
  module.close();
  return labels;
}

/** A key that was on its way when the engine died may be on one HSM only, and is refused (reference 14.1). */
function beginsEncryption(p11: pkcs11js.PKCS11, session: Buffer, key: Buffer): boolean {
  try {
    p11.C_EncryptInit(session, { mechanism: pkcs11js.CKM_AES_ECB }, key);
    return true;
  } catch (error) {
    if (error instanceof pkcs11js.Pkcs11Error && error.code === CKR.CKR_FUNCTION_FAILED) return false;
    throw error;
  }
}
