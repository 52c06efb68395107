import { expect } from 'chai';
import { CKA } from '../../src/pkcs11/attributes.js';
import { CKM } from '../../src/pkcs11/mechanisms.js';
import { attribute } from '../../src/pkcs11/template.js';
import {
  readDaemonConfig,
  readManagedServers,
  readSdk5Clusters,
} from '../../src/tools/connection/cluster-access.js';
import { HsmGroup } from '../../src/tools/connection/hsm-group.js';
import { codeOf } from '../support/codes.js';
import { PASSWORD } from '../support/in-process.js';
import { NetworkCluster, until } from '../support/network.js';
import { TestPrefix } from '../support/prefix.js';

describe("a tool's way to the HSMs", () => {
  let network: NetworkCluster;
  let prefix: TestPrefix;

  before(async () => {
    network = await NetworkCluster.start({ hsms: 3 });
    prefix = new TestPrefix(network.endpoints.slice(0, 1), network.client);
  });

  after(async () => {
    prefix.remove();
    await network.close();
  });

  const open = async (): Promise<HsmGroup> => {
    const [access] = readSdk5Clusters(prefix.path('etc/cloudhsm-cli.cfg'));
    return (await HsmGroup.ofCluster(access!)).group;
  };

  it('learns the other HSMs from the one that the file names', async () => {
    const group = await open();
    expect(group.connected).to.have.length(3);
    const ids = await group.each((connection) => connection.hsmId);
    expect(ids.map(({ result }) => result.status === 'fulfilled' && result.value)).to.have.members([
      'hsm-1',
      'hsm-2',
      'hsm-3',
    ]);
    group.close();
  });

  it('gives commands on keys to all of them, with the login of each connection', async () => {
    const group = await open();
    const credentials = { name: 'crypto_user', password: PASSWORD, role: 'CU' } as const;
    await group.each((connection) => connection.send('login', credentials));
    const client = group.client();
    const handle = await client.generateKey(CKM.CKM_AES_KEY_GEN, [
      attribute(CKA.CKA_VALUE_LEN, 32),
      attribute(CKA.CKA_TOKEN, true),
    ]);
    client.close();
    const found = await group.each((connection) => connection.send('locateObject', { handle }));
    expect(found.map(({ result }) => result.status)).to.deep.equal(['fulfilled', 'fulfilled', 'fulfilled']);
    group.close();
  });

  it('says of each HSM that is away that it is', async () => {
    const group = await open();
    await network.cutOff('hsm-2');
    await until(() => group.connected.length === 2);
    const results = await group.each((connection) => connection.send('listUsers', undefined));
    expect(results.filter(({ result }) => result.status === 'rejected')).to.have.length(1);
    await network.comeBack('hsm-2');
    await group.connect();
    expect(group.connected).to.have.length(3);
    group.close();
  });

  it('reads the files of both generations, and names what is wrong with one', async () => {
    const [server] = readManagedServers(prefix.path('etc/cloudhsm_mgmt_util.cfg'));
    expect(server).to.include({ name: 'server0', host: '127.0.0.1' });
    expect(server?.identity.certificate).to.equal(prefix.path('etc/client.crt'));
    const daemon = readDaemonConfig(prefix.path('etc/cloudhsm_client.cfg'));
    expect(daemon).to.deep.include({ minimumNodes: 1 });
    expect(daemon.identity.trustAnchor).to.equal(prefix.path('etc/customerCA.crt'));
    const hostile = prefix.write('etc/hostile.cfg', '{"servers":[{"hostname":"","port":99999}]}');
    expect(() => readManagedServers(hostile)).to.throw(/servers\.0\.hostname.*servers\.0\.port/s);
    expect(() => readManagedServers(prefix.write('etc/none.cfg', 'secret text'))).to.throw(/not JSON/);
    expect(() => readManagedServers('/dev/zero')).to.throw(/no regular file/);
    expect(await codeOf(async () => readSdk5Clusters(prefix.path('etc/absent.cfg')))).to.equal('REFUSED');
  });
});
