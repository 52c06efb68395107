import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { connectToHsm } from '../../src/cluster/connect-to-hsm.js';
import { seeded } from '../support/seeded.js';
import { SplitCluster } from '../support/split.js';
import { wrongKeys } from '../support/split-check.js';
import { chaos, chaosWorkers } from '../support/split-load.js';

const { seconds: SECONDS, seed: SEED } = chaos;

describe('HSMs in processes of their own', function () {
  this.timeout((SECONDS + 120) * 1000);
  let split: SplitCluster;

  before(async () => {
    split = await SplitCluster.start(3);
    // For a moment there is one HSM only: its keys are used all the same.
    await split.startClient({ keyAvailabilityCheck: false });
  });

  after(() => split.stop());

  it('listen on ENI addresses of their own, on the documented ports, and say so', async () => {
    const { clusters } = await split.ask('/status');
    expect(clusters).to.have.length(1);
    const addresses = clusters[0].hsms.map(({ eniIp, port }: { eniIp: string; port: number }) => {
      expect(eniIp).to.match(/^127\.\d+\.\d+\.\d+$/);
      expect(port).to.equal(2223);
      return eniIp;
    });
    expect(new Set(addresses).size).to.equal(3);
    for (const id of split.ids) {
      const [{ hsms }] = (await split.ask('/status', id)).clusters;
      expect(hsms).to.have.length(1);
      expect(hsms[0]).to.include({ id, state: 'ACTIVE', users: hsms[0].users });
    }
    const { eniIp } = clusters[0].hsms[0];
    for (const port of [2223, 2224, 2225]) {
      const connection = await connectToHsm({
        endpoint: { host: eniIp, port },
        identity: split.identity('client'),
      });
      connection.close();
    }
  });

  it(`give no wrong answer and lose nothing while they are killed for ${SECONDS} s (seed ${SEED})`, async () => {
    const below = seeded(SEED);
    const workers = chaosWorkers(split);
    await Promise.all(workers.map(({ begun }) => begun));
    const end = Date.now() + SECONDS * 1000;
    let kills = 0;
    const away = new Set<string>();
    const back: Promise<void>[] = [];
    while (Date.now() < end) {
      const there = split.ids.filter((id) => !away.has(id));
      const doomed = there[below(there.length)]!;
      // One of them must stay.
      if ((await split.reliedOn()).some((id) => id !== doomed)) {
        away.add(doomed);
        await split.kill(doomed);
        kills++;
        const returning = sleep(below(700))
          .then(() => split.restart(doomed))
          .then(() => void away.delete(doomed));
        back.push(returning);
        // Now and then a second one goes while the first is away.
        if (below(3) > 0) await returning;
        else await sleep(below(200));
        if (below(2) === 0) await Promise.all(back);
      } else await sleep(50);
    }
    await Promise.all(back);
    await Promise.all(workers.map((worker) => worker.end()));
    expect(workers.flatMap(({ complaints }) => complaints)).to.deep.equal([]);
    expect(kills).to.be.greaterThan(1);
    for (const { calls } of workers) expect(calls).to.be.greaterThan(10);

    expect(await wrongKeys(await split.toCheck(workers))).to.deep.equal([]);
  });
});
