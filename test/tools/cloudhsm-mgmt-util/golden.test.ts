import { expect } from 'chai';
import { runManagementTool } from '../../../src/tools/cloudhsm-mgmt-util/tool.js';
import type { ManagedServer } from '../../../src/tools/connection/cluster-access.js';
import { playGolden } from '../../support/golden.js';
import { loggedIn, PASSWORD } from '../../support/in-process.js';
import { NetworkCluster } from '../../support/network.js';
import { TestPrefix } from '../../support/prefix.js';

describe('cloudhsm_mgmt_util prints what the reference shows', () => {
  let network: NetworkCluster;
  let prefix: TestPrefix;
  let servers: ManagedServer[];

  beforeEach(async () => {
    network = await NetworkCluster.start({ hsms: 2 });
    prefix = new TestPrefix(network.endpoints, network.client);
    const identity = {
      certificate: prefix.path('etc/client.crt'),
      privateKey: prefix.path('etc/client.key'),
      trustAnchor: prefix.path('etc/customerCA.crt'),
    };
    servers = network.endpoints.map((endpoint, at) => ({ ...endpoint, name: `10.0.0.${at + 1}`, identity }));
  });

  afterEach(async () => {
    await network.close();
    prefix.remove();
  });

  /** What happens outside the tool. */
  const happenings: Readonly<Record<string, () => Promise<void>>> = {
    'user alice is created on the second HSM': async () => {
      const admin = await loggedIn(network.cluster.hsms[1]!, 'admin', 'CO');
      await admin.send('createUser', { name: 'alice', role: 'CU', password: PASSWORD });
      admin.close();
    },
    'alice is deleted on the second HSM': async () => {
      const admin = await loggedIn(network.cluster.hsms[1]!, 'admin', 'CO');
      await admin.send('deleteUser', { name: 'alice', role: 'CU' });
      admin.close();
    },
    'HSM 2 is out of reach': () => network.cutOff('hsm-2'),
    'HSM 2 comes back': () => network.comeBack('hsm-2'),
  };

  const play = (name: string) =>
    playGolden(
      `cloudhsm-mgmt-util/${name}`,
      {
        values: {
          password: `"${PASSWORD}"`,
          hidden: PASSWORD,
          port0: String(servers[0]!.port),
          port1: String(servers[1]!.port),
          prefix: prefix.directory,
        },
        happen: (what) => {
          expect(happenings).to.have.property(what);
          return happenings[what]!();
        },
      },
      (terminal) => runManagementTool(terminal, servers),
    );

  for (const name of [
    'login-and-modes',
    'create-user',
    'create-user-partly',
    'delete-user',
    'change-password',
    'unreachable-server',
    'help',
  ])
    it(name, () => play(name));
});
