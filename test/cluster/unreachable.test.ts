import { expect } from 'chai';
import pkcs11js from 'pkcs11js';
import { CKR } from '../../src/pkcs11/ckr.js';
import { cloudhsmLocal, modulePath, run } from '../support/engine.js';
import { codeOf, expectCkr } from '../support/module.js';
import { until } from '../support/network.js';
import { SplitCluster } from '../support/split.js';

/** "All unreachable at start: C_Initialize fails, later calls 0x190" (reference 14.3). */
describe('a program when no HSM can be reached', function () {
  this.timeout(60_000);
  let split: SplitCluster;

  before(async () => {
    split = await SplitCluster.start(1);
    await split.startClient();
  });

  after(() => split.stop());

  const initialise = (): number | undefined => {
    split.useInThisProcess();
    const p11 = new pkcs11js.PKCS11();
    p11.load(modulePath);
    try {
      const failed = codeOf(() => p11.C_Initialize());
      if (failed === undefined) p11.C_Finalize();
      else expectCkr(CKR.CKR_CRYPTOKI_NOT_INITIALIZED, () => p11.C_GetSlotList(true));
      return failed;
    } finally {
      p11.close();
    }
  };

  it('is refused by C_Initialize, and can start when one is back', async () => {
    expect(initialise()).to.equal(undefined);
    const [id] = split.ids;
    await split.kill(id!);
    await until(async () => (await split.ask('/status')).clusters[0].hsms[0].condition === 'unreachable');
    expect(initialise()).to.equal(CKR.CKR_FUNCTION_FAILED);
    await split.restart(id!);
    await until(async () => (await split.ask('/status')).clusters[0].hsms[0].state === 'ACTIVE');
    expect(initialise()).to.equal(undefined);
  });

  it('is told so on stderr, also where the HSMs are in the engine', async () => {
    const home = split.clientHome;
    await split.endClient();
    expect((await cloudhsmLocal(['up', '--home', home, '--hsms', '1', '--detach'])).code).to.equal(0);
    const { stdout } = await cloudhsmLocal(['status', '--home', home, '--json']);
    await cloudhsmLocal(['fault', JSON.parse(stdout).clusters[0].hsms[0].id, 'unreachable', '--home', home]);
    const script = `const p = new (require('pkcs11js').PKCS11)(); p.load(process.argv[1]); p.C_Initialize()`;
    const { code, stderr } = await run(process.execPath, ['-e', script, modulePath], { env: split.env });
    expect(code).to.not.equal(0);
    expect(stderr).to.contain('refused this program').and.to.contain('no HSM of cluster-');
    await cloudhsmLocal(['down', '--home', home]);
  });
});
