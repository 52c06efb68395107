import { CliClusters } from '../../../src/tools/cloudhsm-cli/context.js';
import { interact } from '../../../src/tools/cloudhsm-cli/interactive.js';
import { readSdk5Clusters } from '../../../src/tools/connection/cluster-access.js';
import { playGolden } from '../../support/golden.js';
import { PASSWORD } from '../../support/in-process.js';
import { NetworkCluster } from '../../support/network.js';
import { TestPrefix } from '../../support/prefix.js';

/** What differs from run to run. */
const patterns: readonly (readonly [RegExp, string])[] = [
  [/(?<=")0x0[0-9a-f]{15}(?=")/g, 'reference'],
  [/(?<="check-value": ")0x[0-9a-f]{6}/g, 'check-value'],
  [/(?<="ec-point": ")0x[0-9a-f]+/g, 'point'],
  [/(?<="(signature|wrapped_key_data)": ")[A-Za-z0-9+/=]+/g, 'base64'],
  [/(?<="token-timeout-seconds": )\d+/g, 'seconds'],
  [/(?<="key-length-bytes": )1[0-9]{2}(?=,)/g, 'pkcs8-bytes'],
];

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
      await playGolden(`cloudhsm-cli/${name}`, { values, patterns }, (terminal) =>
        interact(terminal, {}, clusters),
      );
      await clusters.close();
    });
  }
});
