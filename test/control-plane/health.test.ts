import { existsSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { codeOf } from '../support/codes.js';
import { ownerOf, TestedControlPlane } from '../support/control-plane.js';
import { HostedControlPlane } from '../support/hosted-control-plane.js';
import { flags, mechanism, Program } from '../support/program.js';

const CHECK_MS = 30_000;
const settings = { healthCheckMs: CHECK_MS };

// "Failed hardware is replaced automatically (new HsmId, same ENI)": reference on the control plane, section 6.2.
describe('HSMs that are looked after', () => {
  let api: TestedControlPlane;

  beforeEach(async () => {
    api = await new TestedControlPlane().open(settings);
  });
  afterEach(() => api.controlPlane.close());

  it('are replaced, at the same ENI, when they do not work three times in a row', async () => {
    const { id, hsmId } = await api.activeCluster();
    const { HsmId: second } = await api.newHsm(id, 'b');
    for (const one of [hsmId, second]) api.hsms.running.get(one)!.content.push('a key');
    const before = (await api.cluster(id)).Hsms!.find(({ HsmId }) => HsmId === second)!;
    api.hsms.broken.set(second, 'it has no power');
    await api.advance(2 * CHECK_MS);
    expect((await api.cluster(id)).Hsms!.map(({ HsmId }) => HsmId)).to.deep.equal([hsmId, second]);
    await api.advance(CHECK_MS);
    const { State, Hsms } = await api.cluster(id);
    expect(State).to.equal('ACTIVE');
    expect(Hsms!.map(({ State: state }) => state)).to.deep.equal(['ACTIVE', 'ACTIVE']);
    const after = Hsms!.find(({ EniId }) => EniId === before.EniId)!;
    expect(after.HsmId).not.to.equal(second);
    expect(after).to.include({ EniIp: before.EniIp, AvailabilityZone: before.AvailabilityZone });
    expect(api.hsms.running.get(after.HsmId)!.content).to.deep.equal(['a key']);
    expect(api.hsms.setAside).to.deep.equal([second]);
  });

  it('stay when they work again in between', async () => {
    const { id, hsmId } = await api.activeCluster();
    for (let times = 0; times < 3; times++) {
      api.hsms.broken.set(hsmId, 'it has no power');
      await api.advance(2 * CHECK_MS);
      api.hsms.broken.clear();
      await api.advance(CHECK_MS);
    }
    expect((await api.cluster(id)).Hsms)
      .to.have.length(1)
      .and.to.have.nested.property('[0].HsmId', hsmId);
  });

  it('start together: none waits for another one that takes its time', async () => {
    const { id, hsmId } = await api.activeCluster();
    const { HsmId: second } = await api.newHsm(id, 'b');
    const { hsms } = api;
    const begun: string[] = [];
    let haveBegun: () => void;
    const all = new Promise<void>((resolve) => {
      haveBegun = resolve;
    });
    const start = hsms.start.bind(hsms);
    hsms.start = async (place) => {
      begun.push(place.hsmId);
      if (begun.length === 2) haveBegun();
      await all;
      await start(place);
    };
    await api.restart();
    expect(begun).to.deep.equal([hsmId, second]);
    expect((await api.cluster(id)).State).to.equal('ACTIVE');
  });

  it('keep no others from starting, and are replaced when they never do', async () => {
    const { id, hsmId } = await api.activeCluster();
    const { HsmId: second } = await api.newHsm(id, 'b');
    api.hsms.broken.set(hsmId, 'its store is damaged');
    await api.restart();
    await api.advance(3 * CHECK_MS);
    const { Hsms } = await api.cluster(id);
    expect(Hsms!.map(({ State }) => State)).to.deep.equal(['ACTIVE', 'ACTIVE']);
    expect(Hsms!.map(({ HsmId }) => HsmId))
      .to.include(second)
      .and.not.to.include(hsmId);
  });

  it('are not replaced by what a day-old backup has, when the last one works after all', async () => {
    const { id, hsmId } = await api.activeCluster();
    api.hsms.running.get(hsmId)!.content.push('of today');
    api.hsms.fail(hsmId);
    api.hsms.broken.clear();
    await api.settle();
    const { State, Hsms } = await api.cluster(id);
    expect(State).to.equal('ACTIVE');
    expect(Hsms).to.have.length(1);
    expect(Hsms![0]).to.include({ HsmId: hsmId, State: 'ACTIVE' });
    expect(Hsms![0]!.StateMessage).to.equal(undefined);
    expect(api.hsms.running.get(hsmId)!.content).to.deep.equal(['of today']);
  });

  it('do not stay for a backup that can never be taken of them', async () => {
    const { id, hsmId } = await api.activeCluster();
    api.hsms.broken.set(hsmId, 'its store is damaged');
    await api.call('DeleteHsm', { ClusterId: id, HsmId: hsmId });
    await api.advance(4 * CHECK_MS);
    expect((await api.cluster(id)).Hsms).to.deep.equal([]);
    expect(api.hsms.setAside).to.deep.equal([hsmId]);
    expect((await api.backups(id)).map(({ BackupState }) => BackupState)).to.deep.equal(['DELETED', 'READY']);
  });

  /** The cluster's CSR is signed and its admin sets the first password, once more. */
  async function becomeActive(id: string): Promise<void> {
    const { Certificates, Hsms } = await api.cluster(id);
    const { signedCert, trustAnchor } = ownerOf(Certificates!.ClusterCsr!);
    await api.call('InitializeCluster', { ClusterId: id, SignedCert: signedCert, TrustAnchor: trustAnchor });
    await api.settle();
    api.hsms.activate(Hsms![0]!.HsmId);
    await api.settle();
    expect((await api.cluster(id)).State).to.equal('ACTIVE');
  }

  it('show another CSR when they are replaced before initialisation', async () => {
    const id = await api.newCluster();
    const { HsmId, EniId } = await api.newHsm(id);
    const { ClusterCsr } = (await api.cluster(id)).Certificates!;
    api.hsms.fail(HsmId);
    await api.settle();
    const { State, Hsms, Certificates } = await api.cluster(id);
    expect(State).to.equal('UNINITIALIZED');
    expect(Hsms!.map((hsm) => [hsm.EniId, hsm.State])).to.deep.equal([[EniId, 'ACTIVE']]);
    expect(Certificates!.ClusterCsr).to.be.a('string').and.not.to.equal(ClusterCsr);
    await becomeActive(id);
  });

  it('are replaced between initialisation and activation, too: then the cluster is initialised again', async () => {
    const { id, hsmId } = await api.initializedCluster();
    const { EniId } = (await api.cluster(id)).Hsms![0]!;
    api.hsms.fail(hsmId);
    await api.settle();
    const { State, StateMessage, Hsms, Certificates } = await api.cluster(id);
    expect(State).to.equal('UNINITIALIZED');
    expect(StateMessage).to.contain('initialized again');
    expect(Hsms!.map((hsm) => [hsm.EniId, hsm.State])).to.deep.equal([[EniId, 'ACTIVE']]);
    expect(Hsms![0]!.HsmId).not.to.equal(hsmId);
    expect(Object.keys(Certificates!)).to.have.length(4).and.to.include('ClusterCsr');
    await becomeActive(id);
  });

  it('and while it is being initialised', async () => {
    const id = await api.newCluster();
    const { HsmId } = await api.newHsm(id);
    const { signedCert, trustAnchor } = ownerOf((await api.cluster(id)).Certificates!.ClusterCsr!);
    api.hsms.broken.set(HsmId, 'it has no power');
    await api.call('InitializeCluster', { ClusterId: id, SignedCert: signedCert, TrustAnchor: trustAnchor });
    await api.advance(4 * CHECK_MS);
    expect((await api.cluster(id)).State).to.equal('UNINITIALIZED');
    await becomeActive(id);
  });

  it('whose activation nobody was told of make the cluster ACTIVE all the same', async () => {
    const { id, hsmId } = await api.initializedCluster();
    api.hsms.running.get(hsmId)!.activated = true;
    await api.advance(CHECK_MS);
    expect((await api.cluster(id)).State).to.equal('ACTIVE');
  });
});

describe('HSMs that work, when they fail', function () {
  this.timeout(120_000);
  let api: HostedControlPlane;
  let id: string;
  const data = Buffer.from('sixteen bytes ok');
  let key: number;
  let ciphertext: Buffer;

  before(async () => {
    api = await new HostedControlPlane().open(settings);
    id = await api.usedCluster(2);
    const program = await Program.on(api.clusterOf(id));
    key = await program.generateAes({ CKA_TOKEN: true, ...flags('CKA_ENCRYPT', 'CKA_DECRYPT') });
    ciphertext = await program.encrypt(key, mechanism('CKM_AES_ECB'), data);
    program.close();
  });
  after(() => api.close());

  async function expectKey(): Promise<void> {
    const program = await Program.on(api.clusterOf(id));
    expect(await program.decrypt(key, mechanism('CKM_AES_ECB'), ciphertext)).to.deep.equal(data);
    program.close();
  }

  it('listen again at the same address', async () => {
    const [server] = api.hosted.servers;
    const { eniIp, hsmId } = server!;
    await server!.close();
    await api.advance(CHECK_MS);
    const again = api.hosted.servers.find((one) => one.hsmId === hsmId)!;
    expect(again).to.include({ eniIp, listening: true });
    expect((await api.cluster(id)).Hsms!.map(({ HsmId }) => HsmId)).to.include(hsmId);
  });

  it('come back from the others when their store cannot be opened, which is set aside', async () => {
    const [broken, other] = (await api.cluster(id)).Hsms!;
    await api.end();
    truncateSync(join(api.directory, broken!.HsmId, 'sealing.key'), 7);
    await api.open(settings);
    await expectKey().catch((error: Error) => expect(error.message).to.contain('availability'));
    await api.advance(3 * CHECK_MS);
    const { Hsms } = await api.cluster(id);
    expect(Hsms!.map(({ State }) => State)).to.deep.equal(['ACTIVE', 'ACTIVE']);
    const replacement = Hsms!.find(({ EniId }) => EniId === broken!.EniId)!;
    expect(replacement.HsmId).not.to.equal(broken!.HsmId);
    expect(Hsms!.map(({ HsmId }) => HsmId)).to.include(other!.HsmId);
    await expectKey();
    expect(existsSync(join(api.directory, broken!.HsmId))).to.equal(false);
    expect(existsSync(join(api.failedDirectory, broken!.HsmId, 'store'))).to.equal(true);
  });

  it('keep the engine from starting when none of a cluster can be opened, for somebody to look at them', async () => {
    const { Hsms } = await api.cluster(id);
    const keys = Hsms!.map(({ HsmId }) => join(api.directory, HsmId, 'sealing.key'));
    await api.end();
    const contents = keys.map((file) => readFileSync(file));
    for (const file of keys) truncateSync(file, 7);
    expect(await codeOf(() => api.open(settings))).to.equal('CORRUPT_STORE');
    for (const [at, file] of keys.entries()) writeFileSync(file, contents[at]!);
    await api.open(settings);
    expect((await api.cluster(id)).Hsms).to.deep.equal(Hsms);
    await expectKey();
  });

  it('come back from the latest backup when all have zeroised their keys', async () => {
    const all = (await api.cluster(id)).Hsms!;
    for (const hsm of [...api.clusterOf(id).hsms]) await hsm.fail('tamper');
    await api.settleAll();
    const { State, Hsms } = await api.cluster(id);
    expect(State).to.equal('ACTIVE');
    expect(Hsms!.map(({ State: state }) => state)).to.deep.equal(['ACTIVE', 'ACTIVE']);
    expect(Hsms!.map(({ EniId }) => EniId)).to.have.members(all.map(({ EniId }) => EniId));
    for (const { HsmId } of all) {
      expect(Hsms!.map((hsm) => hsm.HsmId)).not.to.include(HsmId);
      expect(existsSync(join(api.failedDirectory, HsmId)), 'what is zeroised is gone').to.equal(false);
    }
    await expectKey();
  });
});
