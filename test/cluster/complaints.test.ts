import { expect } from 'chai';
import { type Log, silentLog } from '../../src/base/log.js';
import { Synchronizer } from '../../src/cluster/synchronizer.js';
import { HsmUnavailable } from '../../src/hsm/unavailable.js';
import { memoryCluster } from '../support/in-process.js';
import { NetworkCluster, until } from '../support/network.js';
import { TestAuthority } from '../support/tls.js';

/** What is said of HSMs, beside which. */
function listening(): { readonly log: Log; readonly lines: string[] } {
  const lines: string[] = [];
  const line = ({ hsm, from }: { hsm?: string; from?: string }, text: string): void => {
    if (/connected|synchronised/.test(text)) lines.push(`${from ?? hsm} ${text}`);
  };
  return { lines, log: { ...silentLog, info: line, warn: line } as unknown as Log };
}

describe('an HSM that cannot be had is in the log', function () {
  this.timeout(30_000);

  it('of a client, with the reason, once for each, and when it is back', async () => {
    const network = await NetworkCluster.start({ hsms: 2 });
    const { log, lines } = listening();
    await network.open({}, log);
    const [{ settings }] = network.cluster.hsms as [(typeof network.cluster.hsms)[0]];
    const { host, port } = network.endpoints[0]!;
    const said = (text: string) => until(() => lines.some((line) => line.includes(text)));
    expect(lines).to.deep.equal([]);

    await network.cutOff(settings.id);
    await said('ECONNREFUSED');
    const stranger = await (await TestAuthority.make()).identity('hsm', settings.id);
    await network.comeBack(settings.id, stranger);
    await said('certificate');
    await network.cutOff(settings.id);
    await network.comeBack(settings.id);
    await said('connected again');
    for (const line of lines) expect(line).to.include(`${host}:${port} `);
    expect(new Set(lines).size).to.equal(lines.length);
    await network.close();
  });

  it('of another HSM, which it has to synchronise with', async () => {
    const { log, lines } = listening();
    const cluster = await memoryCluster({ hsms: 2 });
    const [one, two] = cluster.hsms;
    let isAway = true;
    const connect = () => {
      if (isAway) throw new HsmUnavailable('unreachable', 'nobody answers');
      return two!.connectPeer();
    };
    const synchronizer = new Synchronizer(one!, () => [{ hsmId: two!.settings.id, connect }], log);
    for (let rounds = 0; rounds < 3; rounds++) await synchronizer.catchUp();
    isAway = false;
    for (let rounds = 0; rounds < 3; rounds++) await synchronizer.catchUp();
    expect(lines).to.deep.equal(['hsm-2 not synchronised: nobody answers', 'hsm-2 synchronised again']);
    await synchronizer.stop();
    await cluster.close();
  });
});
