import { CliClusters } from '../../../src/tools/cloudhsm-cli/context.js';
import { interact } from '../../../src/tools/cloudhsm-cli/interactive.js';
import { readSdk5Clusters } from '../../../src/tools/connection/cluster-access.js';
import { cliPatterns } from '../../support/cli.js';
import { playGolden } from '../../support/golden.js';
import { PASSWORD } from '../../support/in-process.js';
import { NetworkCluster } from '../../support/network.js';
import { TestPrefix } from '../../support/prefix.js';

describe('cloudhsm-cli prints what the reference shows', () => {
  let network: NetworkCluster;
  let prefix: TestPrefix;

  beforeEach(async () => {
    network = await NetworkCluster.start({ hsms: 2 });
    prefix = new TestPrefix(network.endpoints, network.client);
  });

  afterEach(async () => {
    await network.close();
    prefix.remove();
  });

  for (const name of ['cluster-and-users', 'quorum', 'keys', 'key-quorum', 'help']) {
    it(name, async () => {
      const clusters = new CliClusters(readSdk5Clusters(prefix.path('etc/cloudhsm-cli.cfg')));
      const values = { password: PASSWORD, prefix: prefix.directory };
      await playGolden(`cloudhsm-cli/${name}`, { values, patterns: cliPatterns }, (terminal) =>
        interact(terminal, {}, clusters),
      );
      await clusters.close();
    });
  }
});
