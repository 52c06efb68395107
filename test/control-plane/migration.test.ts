import { expect } from 'chai';
import type { Failure } from '../../src/base/errors.js';
import { CKK, CKO } from '../../src/pkcs11/constants.js';
import { CKM } from '../../src/pkcs11/mechanisms.js';
import { TestedControlPlane } from '../support/control-plane.js';
import { HostedControlPlane } from '../support/hosted-control-plane.js';
import { loggedIn, PASSWORD } from '../support/in-process.js';
import { flags, mechanism, Program, template } from '../support/program.js';

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;
const ECB = mechanism('CKM_AES_ECB');
const data = Buffer.from('sixteen bytes ok');

async function answerTo(work: () => unknown): Promise<string> {
  try {
    await work();
    return 'CKR_OK';
  } catch (error) {
    return (error as Failure).code;
  }
}

// Section 8.6 of the reference on the control plane, with HSMs that work and the times of AWS, which the test lets pass.
describe('a program while its cluster goes from hsm1.medium to hsm2m.medium', function () {
  this.timeout(120_000);
  let api: HostedControlPlane;
  let id: string;
  let program: Program;
  let kept: number;
  let ciphertext: Buffer;

  const byLabel = (CKA_LABEL: string) => ({ template: template({ CKA_LABEL }) });
  const found = async (label: string): Promise<number> =>
    ((await program.application.token(0).client.findObjects(byLabel(label).template)) as readonly number[])
      .length;
  const newKey = (label: string, token = true) =>
    program.generateAes({ CKA_TOKEN: token, CKA_LABEL: label, ...flags('CKA_ENCRYPT', 'CKA_DECRYPT') });
  /** The program has logged in on HSMs that have come. */
  async function usesBoth(): Promise<void> {
    const { client } = program.application.token(0);
    while (client.up.length < 2) await new Promise((resolve) => setImmediate(resolve));
  }
  const types = async () => (await api.cluster(id)).Hsms!.map(({ HsmType, State }) => `${HsmType} ${State}`);

  /** What a program may do all the time, and what it may not while the cluster changes. */
  async function tryAll(lasting: string): Promise<void> {
    expect(await program.decrypt(kept, ECB, ciphertext)).to.deep.equal(data);
    const session = await newKey('of a session', false);
    await program.encrypt(session, ECB, data);
    await program.call('C_DestroyObject', { hObject: session });
    expect(await answerTo(() => newKey('during')), 'C_GenerateKey').to.equal(lasting);
    const relabel = { hObject: kept, pTemplate: template({ CKA_LABEL: 'kept' }) };
    expect(await answerTo(() => program.call('C_SetAttributeValue', relabel))).to.equal(lasting);
    const [hsm] = api.clusterOf(id).hsms;
    const admin = await loggedIn(hsm!, 'admin', 'CO');
    const password = { name: 'other_user', role: 'CU', password: PASSWORD } as const;
    expect(await answerTo(() => admin.send('changePassword', password))).to.equal(lasting);
    admin.close();
  }

  before(async () => {
    api = await new HostedControlPlane().open();
    id = await api.usedCluster(2, 'hsm1.medium');
    program = await Program.on(api.clusterOf(id));
    kept = await newKey('kept');
    ciphertext = await program.encrypt(kept, ECB, data);
    program.close();
    await api.end();
    await api.open({ awsTiming: true });
    await api.settle();
    program = await Program.on(api.clusterOf(id));
  });
  after(async () => {
    program.close();
    await api.close();
  });

  it('reads and works with keys and cannot write what lasts, HSM by HSM', async () => {
    const before = (await api.cluster(id)).Hsms!;
    await tryAll('CKR_OK');
    const { Cluster } = await api.call('ModifyCluster', { ClusterId: id, HsmType: 'hsm2m.medium' });
    expect(Cluster).to.include({ State: 'MODIFY_IN_PROGRESS', HsmType: 'hsm2m.medium' });
    const seen = new Set<string>();
    for (let minutes = 0; (await api.cluster(id)).State !== 'ACTIVE'; minutes++) {
      expect(minutes).to.be.lessThan(60);
      await api.settle();
      const now = await types();
      expect(now.filter((one) => one.endsWith(' ACTIVE')).length, now.join()).to.be.at.least(1);
      seen.add(
        now
          .filter((one) => one.endsWith(' ACTIVE'))
          .sort()
          .join(),
      );
      if (minutes % 3 === 0) await tryAll('CKR_TOKEN_WRITE_PROTECTED');
      await api.advance(MINUTE_MS);
    }
    expect([...seen]).to.deep.equal(['hsm1.medium ACTIVE', 'hsm2m.medium ACTIVE']);
    const after = (await api.cluster(id)).Hsms!;
    expect(after.map(({ HsmType }) => HsmType)).to.deep.equal(['hsm2m.medium', 'hsm2m.medium']);
    expect(after.map(({ EniId, EniIp }) => [EniId, EniIp])).to.have.deep.members(
      before.map(({ EniId, EniIp }) => [EniId, EniIp]),
    );
    for (const { HsmId } of before) expect(after.map((hsm) => hsm.HsmId)).not.to.include(HsmId);
  });

  it('goes on with what it had, on a cluster that is hsm2m.medium to it as well', async () => {
    await usesBoth();
    await tryAll('CKR_OK');
    expect(await found('kept')).to.equal(1);
    expect(api.clusterOf(id).settings.hsmType).to.equal('hsm2m.medium');
    expect(api.clusterOf(id).mechanisms.info(CKM.CKM_SHA512_HMAC)).to.be.an('object');
    for (const hsm of api.clusterOf(id).hsms) {
      expect(hsm.settings.hsmType).to.equal('hsm2m.medium');
      expect(hsm.users.list().map(({ name }) => name)).to.include.members([
        'admin',
        'crypto_user',
        'other_user',
      ]);
    }
  });

  it('finds after a rollback what there was before, and nothing of what came since', async () => {
    expect(await found('during')).to.be.greaterThan(0);
    const since = await newKey('since');
    await program.call('C_DestroyObject', { hObject: kept });
    await api.call('ModifyCluster', { ClusterId: id, HsmType: 'hsm1.medium' });
    await api.settle();
    expect((await api.cluster(id)).State).to.equal('ROLLBACK_IN_PROGRESS');
    for (let minutes = 0; (await api.cluster(id)).State !== 'ACTIVE'; minutes++) {
      expect(minutes).to.be.lessThan(60);
      await api.advance(MINUTE_MS);
    }
    expect(await types()).to.deep.equal(['hsm1.medium ACTIVE', 'hsm1.medium ACTIVE']);
    program.close();
    program = await Program.on(api.clusterOf(id));
    expect(await found('kept')).to.equal(1);
    expect(await found('since')).to.equal(0);
    const encrypting = program.encrypt(since, ECB, data);
    expect(await answerTo(() => encrypting)).to.equal('CKR_KEY_HANDLE_INVALID');
    const secret = template({ CKA_CLASS: CKO.CKO_SECRET_KEY, CKA_KEY_TYPE: CKK.CKK_AES });
    const keys = await program.application.token(0).client.findObjects(secret);
    for (const hsm of api.clusterOf(id).hsms) expect(hsm.objects.count).to.equal((keys as number[]).length);
    await tryAll('CKR_OK');
    expect((await api.cluster(id)).HsmTypeRollbackExpiration).to.equal(undefined);
  });

  it('cannot write either when the engine starts again in the middle', async () => {
    await api.call('ModifyCluster', { ClusterId: id, HsmType: 'hsm2m.medium' });
    await api.settle();
    program.close();
    await api.restart();
    expect((await api.cluster(id)).State).to.equal('MODIFY_IN_PROGRESS');
    program = await Program.on(api.clusterOf(id));
    await tryAll('CKR_TOKEN_WRITE_PROTECTED');
    while ((await api.cluster(id)).State !== 'ACTIVE') await api.advance(MINUTE_MS);
    await usesBoth();
    await tryAll('CKR_OK');
  });
});

describe('a change of the type of HSM', () => {
  let api: TestedControlPlane;
  beforeEach(async () => {
    api = await new TestedControlPlane().open();
  });
  afterEach(() => api.controlPlane.close());

  const change = (ClusterId: string, HsmType: string) => api.call('ModifyCluster', { ClusterId, HsmType });

  it('is taken back by itself when HSMs of the new type do not come', async () => {
    const { id, hsmId } = await api.activeCluster({ hsmType: 'hsm1.medium' });
    const { HsmId: second } = await api.newHsm(id, 'b');
    for (const one of [hsmId, second]) api.hsms.running.get(one)!.content.push('a key');
    api.hsms.refusing = 'hsm2m.medium';
    await change(id, 'hsm2m.medium');
    await api.advance(10 * MINUTE_MS);
    const cluster = await api.cluster(id);
    expect(cluster).to.include({ State: 'ACTIVE', HsmType: 'hsm1.medium' });
    expect(cluster.HsmTypeRollbackExpiration).to.equal(undefined);
    expect(cluster.Hsms!.map(({ HsmType, State }) => `${HsmType} ${State}`)).to.deep.equal([
      'hsm1.medium ACTIVE',
      'hsm1.medium ACTIVE',
    ]);
    for (const { HsmId } of cluster.Hsms!) {
      expect(api.hsms.running.get(HsmId)!.content).to.deep.equal(['a key']);
      expect(api.hsms.running.get(HsmId)!.limitsWrites).to.equal(false);
    }
  });

  it('is taken back when no client has connected for 7 days, as on AWS', async () => {
    const { id, hsmId } = await api.activeCluster({ hsmType: 'hsm1.medium' });
    await api.advance(7 * DAY_MS + 1);
    const input = { ClusterId: id, HsmType: 'hsm2m.medium' };
    const { Cluster } = await api.call('ModifyCluster', input);
    expect(Cluster).to.include({ State: 'MODIFY_IN_PROGRESS', HsmType: 'hsm2m.medium' });
    await api.settle();
    const unchanged = await api.cluster(id);
    expect(unchanged).to.include({ State: 'ACTIVE', HsmType: 'hsm1.medium' });
    expect(unchanged.StateMessage).to.contain('No client has connected to the cluster in the last 7 days');
    expect(unchanged.Hsms!.map(({ HsmId }) => HsmId)).to.deep.equal([hsmId]);
    expect(api.hsms.running.get(hsmId)!.limitsWrites).to.equal(false);
    api.hsms.use(hsmId);
    await api.restart();
    await api.advance(6 * DAY_MS);
    await api.call('ModifyCluster', input);
    await api.settle();
    expect(await api.cluster(id)).to.include({ State: 'ACTIVE', HsmType: 'hsm2m.medium' });
  });

  it('counts who has been logged in all the time', async () => {
    const { id, hsmId } = await api.activeCluster({ hsmType: 'hsm1.medium' });
    await api.advance(7 * DAY_MS + 1);
    api.hsms.running.get(hsmId)!.used = true;
    await change(id, 'hsm2m.medium');
    await api.settle();
    expect(await api.cluster(id)).to.include({ State: 'ACTIVE', HsmType: 'hsm2m.medium' });
  });

  it('can be taken back for 24 hours, and is not made of nothing', async () => {
    const { id } = await api.activeCluster({ hsmType: 'hsm1.medium' });
    await api.refused(change(id, 'hsm1.medium'), 'has hsm1.medium already');
    await change(id, 'hsm2m.medium');
    await api.settle();
    await api.advance(DAY_MS - 1);
    expect((await api.cluster(id)).HsmTypeRollbackExpiration).to.be.a('number');
    await api.advance(1);
    expect((await api.cluster(id)).HsmTypeRollbackExpiration).to.equal(undefined);
    await api.refused(change(id, 'hsm1.medium'), 'cannot be changed');
  });

  it('lets HSMs neither come nor go, and begins only when all are there', async () => {
    await api.controlPlane.close();
    api = await new TestedControlPlane().open({ awsTiming: true });
    const { id, hsmId } = await api.activeCluster({ hsmType: 'hsm1.medium' });
    const { HsmId } = await api.newHsm(id, 'b');
    await api.refused(change(id, 'hsm2m.medium'), 'on its way');
    await api.advance(10 * MINUTE_MS);
    await change(id, 'hsm2m.medium');
    await api.refused(api.newHsm(id), 'MODIFY_IN_PROGRESS');
    for (const one of [hsmId, HsmId])
      await api.refused(api.call('DeleteHsm', { ClusterId: id, HsmId: one }), 'MODIFY_IN_PROGRESS');
    await api.refused(change(id, 'hsm1.medium'), 'MODIFY_IN_PROGRESS');
  });
});
