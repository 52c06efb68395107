import { expect } from 'chai';
import { hsmMetrics } from '../../src/hsm/metrics.js';
import { cloudhsmLocal, run, TestEngine } from '../support/engine.js';
import { generateAes } from '../support/keys.js';
import { TestModule } from '../support/module.js';

/** CloudWatch's metrics (reference management-tools, section 8.3) but HsmTemperature, and those not reported on hsm2m.medium. */
const documented = [
  'HsmUnhealthy',
  'HsmKeysSessionOccupied',
  'HsmKeysTokenOccupied',
  'HsmSslCtxsOccupied',
  'HsmSessionCount',
  'HsmUsersAvailable',
  'HsmUsersMax',
  'InterfaceEth2OctetsInput',
  'InterfaceEth2OctetsOutput',
];
const onHsm1Only = ['HsmSslCtxsOccupied', 'HsmUsersMax'];

describe('cloudhsm-local metrics', function () {
  this.timeout(120_000);
  let engine: TestEngine;

  before(async () => {
    engine = await TestEngine.start();
  });

  after(() => engine.stop());

  const page = async (): Promise<string> => {
    const { code, stdout, stderr } = await cloudhsmLocal(['metrics', '--home', engine.home]);
    expect(code, stderr).to.equal(0);
    return stdout;
  };
  /** The values of a metric, one for each HSM. */
  const values = (text: string, name: string): number[] =>
    [...text.matchAll(new RegExp(`^${name}(?:\\{[^}]*\\})? (\\S+)$`, 'gm'))].map(([, value]) =>
      Number(value),
    );

  it("are CloudWatch's of each HSM, by its names", async () => {
    expect(hsmMetrics.map(({ name }) => name)).to.deep.equal(documented);
    const text = await page();
    for (const name of documented)
      expect(values(text, name), name).to.have.length(onHsm1Only.includes(name) ? 0 : 2);
    expect(values(text, 'HsmUsersAvailable')).to.deep.equal([1021, 1021]);
    expect(text).to.match(/^HsmUnhealthy\{ClusterId="cluster-[a-z2-7]{11}",HsmId="hsm-[a-z2-7]{11}"\} 0$/m);
    for (const line of text.trimEnd().split('\n'))
      expect(line).to.match(/^(# (HELP|TYPE) \w+ .+|\w+(\{(\w+="[^"]*",?)+\})? \d+(\.\d+)?)$/);
  });

  it('count keys, connections and calls', async () => {
    const module = new TestModule(engine);
    const session = module.openLoggedIn();
    generateAes(module, session);
    generateAes(module, session, 32, [{ type: 1, value: true }]);
    const text = await page();
    module.close();
    const sum = (name: string): number => values(text, name).reduce((one, other) => one + other, 0);
    expect(sum('HsmKeysSessionOccupied')).to.equal(1);
    expect(values(text, 'HsmKeysTokenOccupied')).to.deep.equal([1, 1]);
    expect(sum('HsmSessionCount')).to.be.greaterThan(0);
    expect(values(text, 'cloudhsm_local_clients')).to.deep.equal([1]);
    expect(text).to.match(/cloudhsm_local_calls_total\{call="C_GenerateKey"\} 2\n/);
    expect(text).to.match(/cloudhsm_local_hsm_commands_total\{.*command="login"\} 1\n/);
    const later = await page();
    expect(values(later, 'HsmKeysSessionOccupied')).to.deep.equal([0, 0]);
  });

  // The absolute form: RFC 9112, section 3.2.2.
  for (const target of ['/metrics', 'http://localhost/metrics'])
    it(`are on the control socket for whoever scrapes ${target}`, async function () {
      const { code, stdout } = await run('curl', [
        ...['-sS', '--unix-socket', `${engine.home}/run/control.sock`],
        ...['-D', '-', '--request-target', target, 'http://localhost/'],
      ]);
      if (code === -1) this.skip();
      expect(stdout.toLowerCase()).to.contain('content-type: text/plain; version=0.0.4');
      expect(stdout).to.contain('# TYPE HsmUnhealthy gauge');
    });
});
