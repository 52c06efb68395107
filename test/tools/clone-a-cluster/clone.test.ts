import { createPublicKey, verify } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { expect } from 'chai';
import { silentLog } from '../../../src/base/log.js';
import { Cluster } from '../../../src/cluster/cluster.js';
import { digest } from '../../../src/crypto/index.js';
import { Hsm } from '../../../src/hsm/hsm.js';
import { newMaskingKey } from '../../../src/hsm/masking.js';
import { FIRST_PASSWORD, hashNewPassword } from '../../../src/hsm/user-rules.js';
import { CKM } from '../../../src/pkcs11/mechanisms.js';
import { openMemoryStore } from '../../../src/store/memory-store.js';
import { runManagementTool } from '../../../src/tools/cloudhsm-mgmt-util/tool.js';
import { readDaemonConfig, readManagedServers } from '../../../src/tools/connection/cluster-access.js';
import { runKeyTool } from '../../../src/tools/key-mgmt-util/tool.js';
import { backupOfHsm, newBackupKeys, restoredHsm, settingsOf } from '../../support/backups.js';
import { playGolden } from '../../support/golden.js';
import { NetworkCluster } from '../../support/network.js';
import { TestPrefix } from '../../support/prefix.js';

const kind = { hsmType: 'hsm1.medium', mode: 'FIPS' } as const;
const NEW_PASSWORD = 'NEW_password1';
const CU_PASSWORD = 'cu_password1';

/** Steps of "clone a cluster across regions" (reference management-tools, section 2) that the tools do, in their order. The API's
 * are done here by hand: a cluster that is not activated, a backup of it, and an HSM of that backup. */
describe('the tools clone a cluster', () => {
  const backupKeys = newBackupKeys();
  let original: NetworkCluster;
  let clone: NetworkCluster;
  let container: Buffer;
  let prefix: TestPrefix;
  let clonePrefix: TestPrefix;
  const path = (name: string): string => prefix.path(name);

  before(async () => {
    const store = openMemoryStore();
    const passwordHash = await hashNewPassword(FIRST_PASSWORD);
    const users = [{ name: 'admin', role: 'PRECO' as const, passwordHash }];
    await Hsm.provision(store, { maskingKey: newMaskingKey(), users });
    const hsm = await Hsm.open(store, settingsOf({ id: 'hsm-original', backupKeys, ...kind }), silentLog);
    original = await NetworkCluster.serve(new Cluster({ id: 'cluster-original', ...kind }, [hsm]));
    prefix = new TestPrefix(original.endpoints, original.client);
  });

  after(async () => {
    await original.close();
    await clone?.close();
    prefix.remove();
    clonePrefix?.remove();
  });

  const world = () => ({
    values: {
      NEW: NEW_PASSWORD,
      password: CU_PASSWORD,
      prefix: prefix.directory,
      port0: String(original.endpoints[0]!.port),
      ...(clone && { port1: String(clone.endpoints[0]!.port) }),
    },
  });

  const manage = (name: string, config: string) =>
    playGolden(`clone-a-cluster/${name}`, world(), (terminal) =>
      runManagementTool(terminal, readManagedServers(path(config))),
    );

  const manageKeys = (name: string, etc: TestPrefix) =>
    playGolden(`clone-a-cluster/${name}`, world(), async (terminal) => {
      await runKeyTool({ terminal, access: readDaemonConfig(etc.path('etc/cloudhsm_client.cfg')) });
    });

  it('steps 5 to 12: activation, and a crypto user', () =>
    manage('1-activate', 'etc/cloudhsm_mgmt_util.cfg'));

  it('step 13: a backup holds what there is at that moment', async () => {
    container = await backupOfHsm(original.cluster.hsms[0] as Hsm);
    expect(container.length).to.be.greaterThan(0);
  });

  it('steps 14 and 15: a key that never leaves the HSM, made after the backup', () =>
    manageKeys('2-make-a-key', prefix));

  it('steps 16 to 18: a cluster of the backup, and SyncClusters.cfg with an HSM of each', async () => {
    const hsm = await restoredHsm(container, { id: 'hsm-clone', backupKeys, ...kind });
    clone = await NetworkCluster.serve(new Cluster({ id: 'cluster-clone', ...kind }, [hsm]));
    clonePrefix = new TestPrefix(clone.endpoints, clone.client);
    const server = (etc: TestPrefix, network: NetworkCluster, name: string) => ({
      hostname: '127.0.0.1',
      name,
      port: network.endpoints[0]!.port,
      enable: 'yes',
      certificate: etc.path('etc/client.crt'),
      pkey: etc.path('etc/client.key'),
      CAfile: '',
      CApath: etc.path('etc/certs'),
      ssl_ciphers: '',
      server_ssl: 'yes',
      e2e_encryption: { enable: 'yes', owner_cert_path: etc.path('etc/customerCA.crt') },
    });
    const servers = [server(prefix, original, 'server1'), server(clonePrefix, clone, 'server2')];
    const scard = { certificate: 'cert-sc', enable: 'no', pkey: 'pkey-sc', port: 2225 };
    writeFileSync(path('etc/SyncClusters.cfg'), JSON.stringify({ scard, servers }));
  });

  it('steps 19 to 24: the key is on both', () => manage('3-synchronise', 'etc/SyncClusters.cfg'));

  it('and is one key: what the original signs, a program verifies with the key of the clone', async () => {
    writeFileSync(path('message'), 'signed on the original');
    await manageKeys('4-sign-on-the-original', prefix);
    const client = (clone.cluster as Cluster).connect({ keyAvailability: 'off' });
    await client.login('alice', CU_PASSWORD);
    const [publicKey] = await client.findObjects([
      { type: 0x0, value: Buffer.from([2, 0, 0, 0, 0, 0, 0, 0]) },
    ]);
    const signature = readFileSync(path('signature'));
    const mechanism = { type: CKM.CKM_ECDSA, parameter: undefined };
    const input = digest('sha256', Buffer.from('signed on the original'));
    expect(await client.send('verify', { handle: publicKey!, mechanism, input, signature })).to.equal(true);
    // And the other way: the private key is there, and signs for whoever trusts the original's public key.
    const [privateKey] = await client.findObjects([
      { type: 0x0, value: Buffer.from([3, 0, 0, 0, 0, 0, 0, 0]) },
    ]);
    const made = await client.send('sign', { handle: privateKey!, mechanism, input });
    const key = createPublicKey(readFileSync(path('signing.pub'), 'utf8'));
    const data = Buffer.from('signed on the original');
    expect(verify('sha256', data, { key, dsaEncoding: 'ieee-p1363' }, made)).to.equal(true);
    client.close();
  });
});
