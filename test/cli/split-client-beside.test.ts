import { expect } from 'chai';
import { cloudhsmLocal } from '../support/engine.js';
import { until } from '../support/network.js';
import { SplitCluster } from '../support/split.js';

describe('a client in the home of its HSMs', function () {
  this.timeout(120_000);
  let split: SplitCluster;

  before(async () => {
    split = await SplitCluster.start(2);
    await split.startClient({}, [], split.home);
  });

  after(() => split.stop());

  const succeeds = async (...words: string[]): Promise<string> => {
    const { code, stdout, stderr } = await cloudhsmLocal([...words, '--home', split.home]);
    expect(code, stderr).to.equal(0);
    return stdout;
  };

  it('leaves the audit logs to be read, of HSMs that run and of one that does not', async () => {
    const [first] = split.ids;
    await split.kill(first!);
    const logs = JSON.parse(await succeeds('logs', '--json'));
    expect(logs.map(({ hsmId }: { hsmId: string }) => hsmId)).to.have.members(split.ids);
    for (const { records } of logs) expect(records[0].opcode).to.equal('CN_INIT_TOKEN');
    await split.restart(first!);
    expect(await succeeds('logs', first!)).to.contain(first);
  });

  it("has its metrics and the HSMs' on one page", async () => {
    const page = await succeeds('metrics');
    expect(page).to.contain('cloudhsm_local_clients');
    for (const id of split.ids) expect(page).to.match(new RegExp(`^HsmUnhealthy\\{.*${id}"\\} 0$`, 'm'));
  });

  it('goes on while an HSM comes and another one leaves', async () => {
    const [first] = split.ids;
    await succeeds('add-hsm');
    const added = await split.startNew();
    await succeeds('remove-hsm', first!);
    await until(async () => {
      const { clusters } = JSON.parse(await succeeds('status', '--json'));
      const ids = clusters[0].hsms.map(({ id }: { id: string }) => id);
      return ids.includes(added) && !ids.includes(first);
    });
  });

  it('ends with them', async () => {
    await succeeds('down');
    const { code } = await cloudhsmLocal(['status', '--home', split.home]);
    expect(code).to.equal(4);
  });
});
