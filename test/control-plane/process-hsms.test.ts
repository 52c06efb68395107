import type { ChildProcess } from 'node:child_process';
import { EventEmitter } from 'node:events';
import { existsSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { silentLog } from '../../src/base/log.js';
import { HsmProcess } from '../../src/control-plane/hosting/hsm-process.js';
import { CKA } from '../../src/pkcs11/attributes.js';
import { CKM } from '../../src/pkcs11/mechanisms.js';
import { attribute } from '../../src/pkcs11/template.js';
import { codeOf } from '../support/codes.js';
import { PASSWORD } from '../support/in-process.js';
import { until } from '../support/network.js';
import { ProcessControlPlane } from '../support/process-control-plane.js';

const CHECK_MS = 30_000;

describe('HSMs in processes of their own', function () {
  this.timeout(60_000);
  let api: ProcessControlPlane;
  let id: string;

  before(async () => {
    api = await new ProcessControlPlane().open({ healthCheckMs: CHECK_MS });
    id = await api.usedCluster(1);
  });
  after(() => api.close());

  const hsms = async () => (await api.cluster(id)).Hsms!;

  it('refuse after a kill -9 what they refused before it', async () => {
    const [{ HsmId }] = (await hsms()) as [{ HsmId: string }];
    await api.host.limitWrites(HsmId, true);
    await api.kill(HsmId);
    await until(() => api.listens(id));
    const admin = await api.officer(id);
    const creating = (name: string) =>
      codeOf(() => admin.send('createUser', { name, role: 'CU', password: PASSWORD }));
    expect(await creating('somebody')).to.equal('CKR_TOKEN_WRITE_PROTECTED');
    await api.host.limitWrites(HsmId, false);
    expect(await creating('somebody')).to.equal('CKR_OK');
    admin.close();
  });

  it('that are killed while they are made are made all the same, with what the others have', async () => {
    await api.call('CreateHsm', { ClusterId: id, AvailabilityZone: 'us-east-1b' });
    const coming = () => [...api.hosted.pids].find(([one]) => one !== first);
    const first = (await hsms())[0]!.HsmId;
    await until(async () => coming() !== undefined);
    process.kill(coming()![1], 'SIGKILL');
    await api.advance(CHECK_MS);
    expect((await hsms()).map(({ State }) => State)).to.deep.equal(['ACTIVE', 'ACTIVE']);
  });

  it('are replaced at the same ENI when what they keep cannot be opened any more', async () => {
    const [broken, other] = await hsms();
    truncateSync(join(api.home.hsmsDirectory, broken!.HsmId, 'sealing.key'), 7);
    await api.kill(broken!.HsmId);
    await api.advance(4 * CHECK_MS);
    const after = await hsms();
    expect(after.map(({ State }) => State)).to.deep.equal(['ACTIVE', 'ACTIVE']);
    expect(after.map(({ HsmId }) => HsmId)).to.include(other!.HsmId);
    const replacement = after.find(({ EniId }) => EniId === broken!.EniId)!;
    expect(replacement.EniIp).to.equal(broken!.EniIp);
    expect(replacement.HsmId).not.to.equal(broken!.HsmId);
    expect(existsSync(join(api.home.failedHsmsDirectory, broken!.HsmId, 'store'))).to.equal(true);
    expect([...api.hosted.pids.keys()]).to.have.members(after.map(({ HsmId }) => HsmId));
    for (const { HsmId } of after) expect(await api.host.isActivated(HsmId)).to.equal(true);
  });

  it('give what only they have to the others when they leave', async () => {
    const [leaving, staying] = await hsms();
    const [cluster] = api.apiHsms.clusters;
    const programOn = async (hsmId: string) => {
      const client = cluster!.connect({
        uses: ({ settings }) => settings.id === hsmId,
        keyAvailability: 'off',
      });
      await client.login('somebody', PASSWORD);
      return client;
    };
    const program = await programOn(leaving!.HsmId);
    const key = await program.generateKey(CKM.CKM_AES_KEY_GEN, [
      attribute(CKA.CKA_VALUE_LEN, 32),
      attribute(CKA.CKA_TOKEN, true),
    ]);
    program.close();
    await api.call('DeleteHsm', { ClusterId: id, HsmId: leaving!.HsmId });
    await api.settle();
    expect((await hsms()).map(({ HsmId }) => HsmId)).to.deep.equal([staying!.HsmId]);
    const other = await programOn(staying!.HsmId);
    expect(await other.findObjects([])).to.deep.equal([key]);
    other.close();
  });
});

/** kill -STOP: as a process that waits for a disk which never answers, or for itself. */
describe('HSMs in processes that hang', function () {
  this.timeout(60_000);
  let api: ProcessControlPlane;
  let id: string;

  before(async () => {
    api = await new ProcessControlPlane({ check: 1_000, close: 250 }).open({ healthCheckMs: CHECK_MS });
    id = await api.usedCluster(2);
  });
  after(() => api.close());

  const hsms = async () => (await api.cluster(id)).Hsms!;

  it('are looked after again when they go on in time, and stay', async () => {
    const before = await hsms();
    const pid = api.hosted.pids.get(before[1]!.HsmId)!;
    process.kill(pid, 'SIGSTOP');
    try {
      await api.advance(2 * CHECK_MS);
    } finally {
      process.kill(pid, 'SIGCONT');
    }
    await api.host.isActivated(before[1]!.HsmId);
    await api.advance(2 * CHECK_MS);
    expect(await hsms()).to.deep.equal(before);
    expect(api.hosted.pids.get(before[1]!.HsmId)).to.equal(pid);
  });

  it('are ended and replaced at the same ENI, by one with what the others have', async () => {
    const [staying, hanging] = await hsms();
    const pid = api.hosted.pids.get(hanging!.HsmId)!;
    process.kill(pid, 'SIGSTOP');
    await api.advance(3 * CHECK_MS);
    const after = await hsms();
    expect(after.map(({ State }) => State)).to.deep.equal(['ACTIVE', 'ACTIVE']);
    expect(after.map(({ HsmId }) => HsmId)).to.include(staying!.HsmId);
    const replacement = after.find(({ EniId }) => EniId === hanging!.EniId)!;
    expect(replacement.EniIp).to.equal(hanging!.EniIp);
    expect(replacement.HsmId).not.to.equal(hanging!.HsmId);
    expect(await api.host.isActivated(replacement.HsmId)).to.equal(true);
    expect([...api.hosted.pids.keys()]).to.have.members(after.map(({ HsmId }) => HsmId));
    expect(() => process.kill(pid, 0), 'it is no more').to.throw('ESRCH');
  });
});

/** What a process is to whoever has started it. */
class FakeChild extends EventEmitter {
  readonly pid = 1;
  connected = true;
  readonly sent: { id: number; call: string }[] = [];
  send(message: { id: number; call: string }): void {
    this.sent.push(message);
  }
  disconnect(): void {
    this.connected = false;
  }
  kill(signal: string): void {
    this.emit('exit', null, signal);
  }
}

describe('what the process of an HSM says', () => {
  const never = (): void => {
    throw new Error('nothing has happened');
  };
  const open = () => {
    const child = new FakeChild();
    const listener = { activated: never, used: never, failed: never, members: never };
    const hsm = new HsmProcess('hsm-1', child as unknown as ChildProcess, listener, silentLog);
    return { child, hsm };
  };

  const nonsense: Record<string, unknown> = {
    'no message': 'hello',
    'an event that there is not': { event: 'bankrupt', happened: [] },
    'an event with something else': { event: 'activated', happened: [{}] },
    'an answer of another type': { id: 1, answer: 'yes' },
    'an answer and a refusal': { id: 1, answer: true, refused: 'no' },
    'more HSMs than it is': {
      event: 'members',
      happened: [[1, 2].map((ordinal) => ({ id: `hsm-${ordinal}`, ordinal, eniIp: '127.0.0.1', port: 1 }))],
    },
  };
  for (const [what, message] of Object.entries(nonsense))
    it(`ends it when it is ${what}, and whoever waits is told`, async () => {
      const { child, hsm } = open();
      const asked = hsm.call('isActivated', 'hsm-1').then(
        () => 'answered',
        () => 'refused',
      );
      child.emit('message', message);
      expect(await asked).to.equal('refused');
      await hsm.ended;
      expect(hsm.running).to.equal(false);
    });

  it('is an answer to whoever asked, or a failure with its code', async () => {
    const { child, hsm } = open();
    const [activated, started] = [hsm.call('isActivated', 'hsm-1'), hsm.call('begin', {})];
    child.emit('message', { id: 2, code: 'CORRUPT_STORE', refused: 'it is' });
    child.emit('message', { id: 1, answer: true });
    expect(await activated).to.equal(true);
    expect(await codeOf(() => started)).to.equal('CORRUPT_STORE');
    child.emit('message', { id: 7, answer: 'to nobody' });
    expect(hsm.running).to.equal(true);
  });
});
