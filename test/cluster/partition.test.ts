import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { projectRoot, run } from '../support/engine.js';
import { Namespaces, whyNoNamespaces } from '../support/namespaces.js';
import { until } from '../support/network.js';
import { seeded } from '../support/seeded.js';
import { SplitCluster } from '../support/split.js';
import { chaos, chaosWorkers } from '../support/split-load.js';

const { seconds: SECONDS, seed: SEED } = chaos;
const NETWORK = '10.211.77';
const HSMS = 3;

describe('HSMs and a client on a network that is cut', function () {
  this.timeout((SECONDS + 180) * 1000);
  const network = new Namespaces(NETWORK);
  let split: SplitCluster | undefined;

  before(async function () {
    const why = await whyNoNamespaces();
    if (why !== undefined) {
      console.warn(`    skipped: ${why}`);
      this.skip();
    }
    for (let ordinal = 1; ordinal <= HSMS; ordinal++) await network.add(`hsm${ordinal}`, 9 + ordinal);
    await network.add('client', 100);
    split = await SplitCluster.start(HSMS, { eniNetwork: NETWORK }, (ordinal) => network.on(`hsm${ordinal}`));
    await split.startClient({ keyAvailabilityCheck: false }, network.on('client'));
  });

  after(async () => {
    await split?.stop();
    network.close();
  });

  it(`give no wrong answer and lose nothing in ${SECONDS} s of partitions (seed ${SEED})`, async () => {
    const cluster = split!;
    const below = seeded(SEED);
    const workers = chaosWorkers(cluster);
    await Promise.all(workers.map(({ begun }) => begun));
    const all = cluster.ids.length;
    const end = Date.now() + SECONDS * 1000;
    let cuts = 0;
    for (; Date.now() < end; cuts++) {
      const lone = 1 + below(HSMS);
      const others = [1, 2, 3].filter((ordinal) => ordinal !== lone);
      // The client loses one HSM, which the others still have …
      await network.cut('client', `hsm${lone}`);
      const { id } = cluster.cluster.hsms.find(({ ordinal }) => ordinal === lone)!;
      await until(async () => !(await cluster.reliedOn()).includes(id));
      await sleep(below(2000));
      // … then that one loses the others too …
      for (const other of others) await network.cut(`hsm${lone}`, `hsm${other}`);
      await sleep(below(4000));
      // … and everything is as before.
      await network.join('client', `hsm${lone}`);
      for (const other of others) await network.join(`hsm${lone}`, `hsm${other}`);
      await until(async () => (await cluster.reliedOn()).length === all);
    }
    await Promise.all(workers.map((worker) => worker.end()));
    expect(workers.flatMap(({ complaints }) => complaints)).to.deep.equal([]);
    expect(cuts).to.be.greaterThan(0);
    for (const { calls } of workers) expect(calls).to.be.greaterThan(10);
    const script = join(projectRoot, 'dist', 'test', 'support', 'split-check.js');
    const [command, ...words] = [...network.on('client'), process.execPath, script];
    const checked = await run(command!, words, { input: JSON.stringify(await cluster.toCheck(workers)) });
    expect(checked.code, checked.stderr).to.equal(0);
    expect(JSON.parse(checked.stdout)).to.deep.equal([]);
  });
});
