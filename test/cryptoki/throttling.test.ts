import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import pkcs11js from 'pkcs11js';
import { CKR } from '../../src/pkcs11/ckr.js';
import { TestEngine } from '../support/engine.js';
import { TestModule } from '../support/module.js';

/** Reference 14.2 */
describe('a program of busy HSMs', () => {
  let engine: TestEngine;
  before(async () => {
    engine = await TestEngine.startWith({ commandsPerSecond: 40 });
  });
  after(() => engine.stop());

  /** What 200 random numbers in a row are answered. */
  function answers(mode: 'off' | 'standard'): Set<number> {
    const options = { default_retry_mode: mode };
    const module = new TestModule(engine, { clusters: [{ cluster: { options } }] });
    const codes = new Set<number>();
    try {
      const session = module.openLoggedIn();
      for (let count = 0; count < 200; count++) {
        try {
          module.p11.C_GenerateRandom(session, Buffer.alloc(8));
          codes.add(CKR.CKR_OK);
        } catch (error) {
          if (!(error instanceof pkcs11js.Pkcs11Error)) throw error;
          codes.add(error.code);
        }
      }
    } finally {
      module.close();
    }
    return codes;
  }

  it("with the retry mode off is answered 0x6, and finds CloudHSM's text in the log", () => {
    expect([...answers('off')]).to.have.members([CKR.CKR_OK, CKR.CKR_FUNCTION_FAILED]);
    const log = readFileSync(join(engine.home, 'run', 'cloudhsm-pkcs11.log'), 'utf8');
    expect(log)
      .to.match(
        /\[cloudhsm_pkcs11::random::C_GenerateRandom\] Response Code: 187\. This operation is already in progress\./,
      )
      .and.include('C_GenerateRandom failed, returning 0x00000006');
  });

  it('with the retry mode standard only waits longer', () => {
    expect([...answers('standard')]).to.deep.equal([CKR.CKR_OK]);
  });
});
