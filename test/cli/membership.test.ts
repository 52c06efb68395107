import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { cloudhsmLocal } from '../support/engine.js';
import { until } from '../support/network.js';
import { SplitCluster } from '../support/split.js';
import { wrongKeys } from '../support/split-check.js';
import { Worker } from '../support/split-load.js';

/** "The HSM list is refreshed in the background" (reference, section 14.3). */
describe('HSMs that come to a home’s cluster and leave it', function () {
  this.timeout(120_000);
  let split: SplitCluster;

  beforeEach(async () => {
    split = await SplitCluster.start(2);
  });

  afterEach(() => split.stop());

  const command = (...words: string[]) => cloudhsmLocal([...words, '--home', split.home]);
  const succeeds = async (...words: string[]): Promise<string> => {
    const { code, stdout, stderr } = await command(...words);
    expect(code, stderr).to.equal(0);
    return stdout;
  };
  const config = () => join(split.home, 'certificates', 'cloudhsm-pkcs11.cfg');
  /** A running program relies on so many, and on no other. */
  const reliedOn = (ids: readonly string[]) =>
    until(async () => {
      const relied = await split.reliedOn();
      const { clients, clusters } = await split.ask('/status');
      const lists = [relied, clients[0].hsms, clusters[0].hsms];
      return lists.every(({ length }) => length === ids.length);
    });

  it('are used by a program that runs: the new one has every key, and one that leaves takes none along', async () => {
    await split.startClient();
    const worker = new Worker(split, 'w', 2, 1);
    await worker.begun;
    const [first, second] = split.ids as [string, string];
    expect(await succeeds('add-hsm')).to.match(/has 3 HSMs: hsm-[a-z2-7]{11} is new, at 127[\d.]+:2223/);
    const third = await split.startNew();
    await reliedOn([first, second, third]);
    const { clusters } = await split.ask('/status');
    expect(clusters[0].hsms.map(({ id }: { id: string }) => id)).to.deep.equal([first, second, third]);

    expect(await succeeds('remove-hsm', first)).to.contain(`has 2 HSMs: ${first} is one of them no longer`);
    await reliedOn([second, third]);
    await worker.end();
    expect(worker.complaints).to.deep.equal([]);
    expect(worker.keys.length).to.be.greaterThan(5);
    const check = await split.toCheck([worker]);
    expect(check.hsms).to.have.length(2);
    expect(await wrongKeys(check)).to.deep.equal([]);

    expect(existsSync(join(split.home, 'hsms.removed', first, 'store', 'data.mdb'))).to.equal(true);
    const { servers } = JSON.parse(readFileSync(config(), 'utf8')).clusters[0].cluster;
    expect(servers).to.have.length(2);
    expect((await command('hsm', first)).code, 'it starts no more').to.equal(6);
  });

  it('leave a client configuration alone that somebody has made into something else', async () => {
    const [first] = split.ids;
    for (const text of ['{', '{"clusters":[]}', 'null']) writeFileSync(config(), text);
    const { code, stderr } = await command('add-hsm');
    expect(code, stderr).to.equal(0);
    expect(stderr).to.equal(
      `warning: ${config()} has been changed and is left as it is: enter the servers by hand\n`,
    );
    expect(readFileSync(config(), 'utf8')).to.equal('null');
    await split.startNew();
    await succeeds('remove-hsm', first!);
    expect(split.ids).to.have.length(2);
  });

  it('go on with the list that they have while cluster.json cannot be read', async () => {
    const file = join(split.home, 'cluster.json');
    const before = readFileSync(file, 'utf8');
    const [first] = split.ids;
    writeFileSync(file, '{');
    await until(async () =>
      readFileSync(join(split.home, 'logs', `${first}.log`), 'utf8').includes('not a cluster file'),
    );
    writeFileSync(file, before);
    await succeeds('add-hsm');
    const third = await split.startNew();
    await split.startClient();
    await until(async () => (await split.ask('/status')).clusters[0].hsms.length === 3);
    expect(split.ids).to.include(third);
    expect((await command('status')).stdout).not.to.contain('STOPPED');
  });

  it('may stand still meanwhile: what one of them has comes with it all the same', async () => {
    await split.startClient();
    const worker = new Worker(split, 'w', 1, 1);
    await worker.begun;
    await worker.end();
    await split.endClient();
    await succeeds('down');
    await succeeds('add-hsm');
    await succeeds('remove-hsm', '1');
    const [second, third] = split.ids as [string, string];
    await split.restart(second);
    expect(await split.startNew()).to.equal(third);
    await split.startClient();
    expect(await wrongKeys(await split.toCheck([worker]))).to.deep.equal([]);
  });

  it('stay while nobody else has their keys, and the last one always', async () => {
    const [first, second] = split.ids as [string, string];
    await split.kill(second);
    await split.startClient({ keyAvailabilityCheck: false });
    const worker = new Worker(split, 'w', 1, 1);
    await worker.begun;
    await worker.end();
    const refused = await command('remove-hsm', first);
    expect(refused.code).to.equal(4);
    expect(refused.stderr).to.contain(`no other HSM of ${split.cluster.id} has all that ${first} has`);
    expect(split.ids).to.deep.equal([first, second]);
    await split.restart(second);
    await succeeds('remove-hsm', first);
    const last = await command('remove-hsm', second);
    expect([last.code, last.stderr]).to.deep.equal([
      6,
      `cloudhsm-local: ${second} is the last HSM of ${split.cluster.id}: its keys would go\n`,
    ]);
    await until(async () => (await split.ask('/status')).clusters[0].hsms.length === 1);
    expect(await wrongKeys(await split.toCheck([worker]))).to.deep.equal([]);
  });

  it('get certificates in homes of earlier versions, which kept no key of their authority, in the way that add-hsm names', async () => {
    await succeeds('down');
    const certificates = join(split.home, 'certificates');
    rmSync(join(certificates, 'customerCA.key'));
    const refused = await command('add-hsm');
    expect(refused.code).to.equal(6);
    expect(refused.stderr)
      .to.contain('customerCA.key is missing')
      .and.contain(`remove ${certificates} and run \`cloudhsm-local init\` on this home`);
    rmSync(certificates, { recursive: true });
    await succeeds('init');
    await succeeds('add-hsm');
    for (const id of split.ids.slice(0, 2)) await split.restart(id);
    await split.startNew();
    await split.startClient();
    const worker = new Worker(split, 'w', 1, 1);
    await worker.begun;
    await reliedOn(split.ids);
    await worker.end();
    expect(worker.complaints).to.deep.equal([]);
  });
});
