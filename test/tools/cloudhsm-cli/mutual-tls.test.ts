import { expect } from 'chai';
import { silentLog } from '../../../src/base/log.js';
import { newIdentity } from '../../../src/cli/stand-in-authority.js';
import { connectToHsm } from '../../../src/cluster/connect-to-hsm.js';
import type { TlsIdentity } from '../../../src/cluster/tls.js';
import { Hsm } from '../../../src/hsm/hsm.js';
import { ANCHOR_BYTES } from '../../../src/hsm/mutual-tls.js';
import { type CliOptions, dataOf, runCli } from '../../support/cli.js';
import { codeOf } from '../../support/codes.js';
import { PASSWORD } from '../../support/in-process.js';
import { NetworkCluster } from '../../support/network.js';
import { TestPrefix } from '../../support/prefix.js';
import { authorityBelow, TestAuthority } from '../../support/tls.js';

/* `cluster mtls …` (reference management-tools, section 6.2), over TLS with certificates of two authorities: the cluster's, and one that
 * its owner registers. */

const ADMIN: CliOptions = { pin: `admin:${PASSWORD}`, role: 'admin' };
const USER: CliOptions = { pin: `crypto_user:${PASSWORD}` };
const mtls = (...words: string[]): string[] => ['cluster', 'mtls', ...words];

describe('cloudhsm-cli cluster mtls', () => {
  let registered: TestAuthority;
  let network: NetworkCluster;
  /** Its certificate is of the cluster's authority, as that of every client. */
  let plain: TestPrefix;
  /** Its certificate is of the registered authority. */
  let mutual: TestPrefix;
  let mutualIdentity: TlsIdentity;

  before(async () => {
    registered = await TestAuthority.make('mTLS root');
  });

  beforeEach(async () => {
    network = await NetworkCluster.start({ hsms: 2 });
    plain = new TestPrefix(network.endpoints, network.client);
    plain.write('rootCA', registered.authority.trustAnchor);
    const issued = await newIdentity(registered.authority, 'client', 'client');
    mutualIdentity = { ...issued, trustAnchor: network.client.trustAnchor };
    mutual = new TestPrefix(network.endpoints, network.client);
    const pair = {
      client_cert_hsm_tls_file: mutual.write('etc/mtls.crt', issued.certificate),
      client_key_hsm_tls_file: mutual.write('etc/mtls.key', issued.privateKey),
    };
    const servers = network.endpoints.map(({ host: hostname, port }) => ({ hostname, port }));
    const cluster = { hsm_ca_file: mutual.path('etc/customerCA.crt'), servers, ...pair };
    mutual.write('etc/cloudhsm-cli.cfg', JSON.stringify({ clusters: [{ type: 'hsm1', cluster }] }));
  });

  afterEach(async () => {
    await network.close();
    plain.remove();
    mutual.remove();
  });

  const register = (file = plain.path('rootCA')) =>
    runCli(plain, mtls('register-trust-anchor', '--path', file), ADMIN);
  const enforce = (prefix: TestPrefix, level: string, who = ADMIN) =>
    runCli(prefix, mtls('set-enforcement', '--level', level), who);
  const anchor = (reference = '0x01') => ({
    'certificate-reference': reference,
    certificate: registered.authority.trustAnchor,
    'cluster-coverage': 'full',
  });

  it('registers, lists and deregisters a trust anchor on all HSMs', async () => {
    expect(dataOf(await register())).to.deep.equal({ trust_anchor: anchor() });
    expect(dataOf(await runCli(plain, mtls('list-trust-anchors')))).to.deep.equal({
      trust_anchors: [anchor()],
    });
    const gone = await runCli(
      plain,
      mtls('deregister-trust-anchor', '--certificate-reference', '0x01'),
      ADMIN,
    );
    expect(dataOf(gone)).to.deep.equal({
      message: 'Trust anchor with reference 0x01 deregistered successfully',
    });
    expect(dataOf(await runCli(plain, mtls('list-trust-anchors')))).to.deep.equal({ trust_anchors: [] });
  });

  it('shows an anchor that one HSM alone has as inconsistent', async () => {
    const [first] = network.cluster.hsms;
    const connection = first!.connect();
    await connection.send('login', { name: 'admin', role: 'CO', password: PASSWORD });
    await connection.send('registerTrustAnchor', { certificate: registered.authority.trustAnchor });
    expect(dataOf(await runCli(plain, mtls('list-trust-anchors')))).to.deep.equal({
      trust_anchors: [{ ...anchor(), 'cluster-coverage': 'inconsistent' }],
    });
  });

  it('takes two anchors, each once, and nothing that is no chain of authorities', async () => {
    await register();
    expect((await register()).code).to.equal(1);
    const second = await TestAuthority.make('second');
    const third = await TestAuthority.make('third');
    const leaf = (await second.identity('client')).certificate;
    const refused: readonly [string, RegExp][] = [
      ['no certificate', /certificates in PEM/],
      [leaf, /CA:TRUE/],
      [second.authority.trustAnchor + third.authority.trustAnchor, /issued by the one behind it/],
      [second.authority.trustAnchor.repeat(20), new RegExp(`more than ${ANCHOR_BYTES} bytes`)],
    ];
    for (const [certificate, why] of refused) {
      const run = await register(plain.write('other', certificate));
      expect(run.code).to.equal(1);
      expect(dataOf(run)).to.match(why);
    }
    const [, two] = [await register(plain.write('other', second.authority.trustAnchor)), '0x02'];
    expect(JSON.stringify(dataOf(await runCli(plain, mtls('list-trust-anchors'))))).to.contain(two);
    const tooMany = await register(plain.write('other', third.authority.trustAnchor));
    expect(dataOf(tooMany)).to.match(/2 trust anchors are registered/);
  });

  it('connects with a certificate of the registered authority, and not before it is', async () => {
    expect((await runCli(mutual, ['cluster', 'hsm-info'])).code).to.equal(1);
    await register();
    expect((await runCli(mutual, ['cluster', 'hsm-info'])).code).to.equal(0);
    await runCli(plain, mtls('deregister-trust-anchor', '--certificate-reference', '0x01'), ADMIN);
    expect((await runCli(mutual, ['cluster', 'hsm-info'])).code).to.equal(1);
  });

  it('lets nobody but the admin set enforcement, who comes by mutual TLS', async () => {
    await register();
    expect((await enforce(mutual, 'cluster', USER)).code).to.equal(1);
    const notMutual = await enforce(plain, 'cluster');
    expect(dataOf(notMutual)).to.match(/none of mutual TLS/);
    const other = ['user', 'create', '--username', 'other', '--role', 'admin', '--password', PASSWORD];
    await runCli(plain, other, ADMIN);
    const notAdmin = await enforce(mutual, 'cluster', { pin: `other:${PASSWORD}`, role: 'admin' });
    expect(dataOf(notAdmin)).to.match(/only the user admin/);
    expect(dataOf(await runCli(plain, mtls('get-enforcement'), USER))).to.deep.equal({
      'mtls-enforcement-level': 'none',
    });
  });

  it('refuses and drops, under enforcement, whoever has no certificate of a registered authority', async () => {
    await register();
    let lost = 0;
    const open = (identity: TlsIdentity) =>
      connectToHsm({ endpoint: network.endpoints[0]!, identity, onLost: () => lost++ });
    const before = await open(network.client);
    const remote = await network.open();
    expect(dataOf(await enforce(mutual, 'cluster'))).to.deep.equal({
      message: 'Mtls enforcement level set to Cluster successfully',
    });
    expect(await codeOf(() => before.send('listUsers', undefined))).to.equal('CKR_DEVICE_ERROR');
    expect(lost).to.equal(1);
    expect(await codeOf(() => open(network.client))).to.equal('CKR_DEVICE_ERROR');
    remote.close();

    const refused = await runCli(plain, ['user', 'list']);
    expect(refused.code).to.equal(1);
    expect(refused.stderr).to.match(/enforces mutual TLS: configure a client certificate/);
    expect((await runCli(mutual, ['user', 'list'])).code).to.equal(0);
    expect(dataOf(await runCli(mutual, mtls('get-enforcement'), USER))).to.deep.equal({
      'mtls-enforcement-level': 'cluster',
    });
    const last = await runCli(
      mutual,
      mtls('deregister-trust-anchor', '--certificate-reference', '0x01'),
      ADMIN,
    );
    expect(dataOf(last)).to.match(/last trust anchor/);

    expect(dataOf(await enforce(mutual, 'none'))).to.deep.equal({
      message: 'Mtls enforcement level set to None successfully',
    });
    expect((await runCli(plain, ['user', 'list'])).code).to.equal(0);
  });

  it('makes nobody an HSM who has a certificate of a registered authority', async () => {
    await register();
    const [{ settings }] = network.cluster.hsms as [Hsm];
    const issued = await newIdentity(registered.authority, settings.id, 'hsm');
    const identity = { ...issued, trustAnchor: network.client.trustAnchor };
    const connection = await connectToHsm({ endpoint: network.endpoints[1]!, identity });
    expect(await codeOf(() => connection.send('objectDigests', undefined))).to.equal(
      'CKR_USER_NOT_LOGGED_IN',
    );
    connection.close();
  });

  it('takes an intermediate authority with its chain, and clients of it alone', async () => {
    const { root, below, chain } = await authorityBelow();
    expect((await register(plain.write('chain', chain))).code).to.equal(0);
    const issued = await newIdentity(below, 'client', 'client');
    mutual.write('etc/mtls.crt', issued.certificate);
    mutual.write('etc/mtls.key', issued.privateKey);
    expect((await enforce(mutual, 'cluster')).code).to.equal(0);
    expect((await runCli(mutual, ['user', 'list'])).code).to.equal(0);
    const ofRoot = await newIdentity(root, 'client', 'client');
    const { trustAnchor } = network.client;
    const identity = { ...ofRoot, trustAnchor };
    const attempt = () => connectToHsm({ endpoint: network.endpoints[0]!, identity });
    expect(await codeOf(attempt)).to.equal('CKR_DEVICE_ERROR');
  });

  it('needs a quorum of the service cluster, where one is set', async () => {
    const other = ['user', 'create', '--username', 'other', '--role', 'admin', '--password', PASSWORD];
    await runCli(plain, other, ADMIN);
    const value = ['quorum', 'token-sign', 'set-quorum-value', '--service', 'cluster', '--value', '2'];
    expect((await runCli(plain, value, ADMIN)).code).to.equal(0);
    expect(dataOf(await register())).to.equal('Quorum approval is required for this operation');
  });

  it('is what an HSM has after a restart, and what an application in its process is asked for', async () => {
    await register();
    await enforce(mutual, 'cluster');
    const [hsm] = network.cluster.hsms as [Hsm];
    expect(() => hsm.connect()).to.throw(/enforces mutual TLS/);
    const presented = [mutualIdentity.certificate].map((pem) =>
      Buffer.from(pem.replace(/-----[^-]+-----|\s/g, ''), 'base64'),
    );
    const connection = hsm.connect({ presented });
    expect(await connection.send('listTrustAnchors', undefined)).to.have.length(1);
    connection.close();
    const store = (hsm as unknown as { store: Parameters<typeof Hsm.open>[0] }).store;
    const again = await Hsm.open(store, hsm.settings, silentLog);
    expect(again.mutualTls.level).to.equal('cluster');
    expect(() => again.connect()).to.throw(/enforces mutual TLS/);
  });

  it('is of hsm2m.medium', async () => {
    const older = await NetworkCluster.start({ hsms: 1, hsmType: 'hsm1.medium' });
    const prefix = new TestPrefix(older.endpoints, older.client);
    const run = await runCli(prefix, mtls('list-trust-anchors'));
    expect(dataOf(run)).to.match(/hsm2m\.medium/);
    const values = await runCli(prefix, ['quorum', 'token-sign', 'list-quorum-values']);
    expect(dataOf(values)).not.to.have.property('cluster');
    await older.close();
    prefix.remove();
  });
});
