import { expect } from 'chai';
import { clusterLifecycle } from '../../src/control-plane/state/lifecycles.js';
import type { BackupRecord, ClusterRecord } from '../../src/control-plane/state/records.js';
import type { RecordStore } from '../../src/store/record-store.js';
import { ownerOf, realm, subnets, TestedControlPlane } from '../support/control-plane.js';

/** The process is gone: nothing that it calls answers any more. */
const never = new Promise<never>(() => undefined);

/** Where a process dies: at which of its writes to anything, and whether that write still arrives. */
interface Death {
  at: number;
  arrives: boolean;
  writes: number;
}

/** Counts writes, and from the fatal one on answers nothing. */
function mortal<T extends object>(target: T, methods: readonly (keyof T)[], death: Death): T {
  return new Proxy(target, {
    get: (object, name) => {
      const value: unknown = Reflect.get(object, name);
      if (typeof value !== 'function') return value;
      if (!methods.includes(name as keyof T)) return value.bind(object);
      return (...words: unknown[]) => {
        death.writes++;
        if (death.writes > death.at || (death.writes === death.at && !death.arrives)) return never;
        const done = Promise.resolve(value.apply(object, words));
        return death.writes === death.at ? done.then(() => never) : done;
      };
    },
  });
}

/** A control plane that dies at a write of its own, of an HSM's or of the archive's. */
class MortalControlPlane extends TestedControlPlane {
  readonly death: Death;
  #durable: RecordStore;

  constructor(at: number, arrives: boolean) {
    super();
    this.death = { at, arrives, writes: 0 };
    this.#durable = this.store;
    this.store = mortal(this.store, ['write'], this.death);
    this.host = mortal(this.hsms, ['create', 'initialize', 'backUp', 'retire', 'remove'], this.death);
    this.keeping = mortal(this.archive, ['store', 'copy', 'remove'], this.death);
  }

  get isDead(): boolean {
    return this.death.writes >= this.death.at;
  }

  /** Who waits for a process that dies waits for ever. */
  override settle = async (): Promise<void> => {
    for (let quiet = 0; quiet < 5; quiet++) {
      await new Promise((resolve) => setImmediate(resolve));
      await Promise.race([this.controlPlane.settled(), this.#end()]);
    }
    if (this.isDead) await never;
  };

  async #end(): Promise<void> {
    while (!this.isDead) await new Promise((resolve) => setImmediate(resolve));
  }

  /** undefined when the process has died over it. */
  async attempt<T>(work: () => Promise<T>): Promise<T | undefined> {
    return Promise.race([work(), this.#end().then(() => undefined)]);
  }

  /** Another process, with what the first one has left. */
  async revive(): Promise<TestedControlPlane> {
    const next = new TestedControlPlane();
    next.store = this.#durable;
    next.hsms = this.hsms;
    next.host = this.hsms;
    next.archive = this.archive;
    next.keeping = this.archive;
    next.time = this.time;
    return next.open();
  }
}

interface Acknowledged {
  clusterId?: string;
  hsms: Set<string>;
  /** Whose deletion was asked for, and whose was acknowledged. */
  leavingHsms: Set<string>;
  deletedHsms: Set<string>;
  tags: number;
  owner?: string;
  deletedBackups: Set<string>;
  copies: number;
}

/** A cluster's life, step by step; what was acknowledged is put down before the next step. */
async function live(api: MortalControlPlane, known: Acknowledged): Promise<void> {
  const { Cluster } = await api.call('CreateCluster', {
    HsmType: 'hsm2m.medium',
    Mode: 'FIPS',
    SubnetIds: [...subnets],
  });
  const ClusterId = Cluster!.ClusterId!;
  known.clusterId = ClusterId;
  await api.settle();
  const create = async (zone: string) => {
    const input = { ClusterId, AvailabilityZone: `us-east-1${zone}` };
    const { HsmId } = (await api.call('CreateHsm', input)).Hsm!;
    known.hsms.add(HsmId);
    await api.settle();
    return HsmId;
  };
  const first = await create('a');
  const { signedCert, trustAnchor } = ownerOf((await api.cluster(ClusterId)).Certificates!.ClusterCsr!);
  await api.call('InitializeCluster', { ClusterId, SignedCert: signedCert, TrustAnchor: trustAnchor });
  known.owner = signedCert;
  await api.settle();
  api.hsms.running.get(first)!.content.push('a key');
  api.hsms.activate(first);
  await api.settle();
  await create('b');
  await api.call('TagResource', { ResourceId: ClusterId, TagList: [{ Key: 'a', Value: 'b' }] });
  known.tags = 1;
  const [{ BackupId }] = (await api.backups(ClusterId)) as [{ BackupId: string }];
  await api.call('CopyBackupToRegion', { BackupId, DestinationRegion: 'us-west-2' });
  known.copies = 1;
  await api.settle();
  await api.call('DeleteBackup', { BackupId });
  known.deletedBackups.add(BackupId);
  await api.advance(8 * 86_400_000);
  for (const HsmId of known.hsms) {
    known.leavingHsms.add(HsmId);
    await api.call('DeleteHsm', { ClusterId, HsmId });
    known.deletedHsms.add(HsmId);
    await api.settle();
  }
  await create('a');
}

/** What must hold for each record, whatever has happened. */
function checkRecords(api: TestedControlPlane): void {
  const { catalogue } = api.controlPlane.context;
  for (const cluster of catalogue.all('cluster') as ClusterRecord[]) {
    expect(Object.keys(clusterLifecycle)).to.contain(cluster.state);
    expect(cluster.state).not.to.match(/IN_PROGRESS/);
    for (const { id, state } of cluster.hsms) {
      expect(state).to.equal('ACTIVE');
      expect(api.hsms.running.has(id), `${id} runs`).to.equal(true);
    }
    const isOwned = ['INITIALIZED', 'ACTIVE'].includes(cluster.state);
    expect(cluster.trust !== undefined, cluster.state).to.equal(isOwned);
  }
  const members = catalogue.all('cluster').flatMap(({ hsms }) => hsms.map(({ id }) => id));
  expect([...api.hsms.running.keys()], 'HSMs that nobody knows').to.have.members(members);
  for (const backup of catalogue.all('backup') as BackupRecord[]) {
    expect(backup.state).to.be.oneOf(['READY', 'PENDING_DELETION', 'DELETED']);
    const isKept = api.archive.kept.has(`${backup.account}/${backup.region}/${backup.id}`);
    expect(isKept, `${backup.id} ${backup.state}`).to.equal(backup.state !== 'DELETED');
  }
}

async function checkAcknowledged(api: TestedControlPlane, known: Acknowledged): Promise<void> {
  if (known.clusterId === undefined) return;
  const cluster = await api.cluster(known.clusterId);
  const ids = cluster.Hsms!.map(({ HsmId }) => HsmId);
  for (const id of known.deletedHsms) expect(ids, 'a deleted HSM').not.to.contain(id);
  expect(ids).to.include.members([...known.hsms].filter((id) => !known.leavingHsms.has(id)));
  if (known.owner !== undefined) expect(cluster.Certificates!.ClusterCertificate).to.equal(known.owner);
  if (known.tags > 0) expect(cluster.TagList).to.have.length(1);
  const backups = await api.backups(known.clusterId);
  for (const id of known.deletedBackups)
    expect(backups.find(({ BackupId }) => BackupId === id)?.BackupState).not.to.equal('READY');
  const { Backups: copies } = await api.call('DescribeBackups', {}, { ...realm, region: 'us-west-2' });
  expect(copies!.length).to.be.at.least(known.copies);
  if (cluster.State === 'ACTIVE') {
    // What applications had written is still there, or comes back with the next HSM.
    const [id] = ids.length > 0 ? ids : [(await api.newHsm(known.clusterId)).HsmId];
    expect(api.hsms.running.get(id!)!.content).to.deep.equal(['a key']);
  }
}

describe('a control plane that dies', () => {
  it('at any of its writes, goes on after a restart and has lost nothing that was acknowledged', async () => {
    let steps = 0;
    for (let at = 1; ; at++) {
      let died = false;
      for (const arrives of [false, true]) {
        const api = new MortalControlPlane(at, arrives);
        const known: Acknowledged = {
          hsms: new Set(),
          leavingHsms: new Set(),
          deletedHsms: new Set(),
          deletedBackups: new Set(),
          tags: 0,
          copies: 0,
        };
        await api.attempt(async () => {
          await api.open();
          await live(api, known);
        });
        died ||= api.isDead;
        if (!api.isDead) continue;
        const next = await api.revive();
        // Retries wait a little.
        await next.advance(120_000);
        checkRecords(next);
        await checkAcknowledged(next, known);
        await next.controlPlane.close();
      }
      if (!died) break;
      steps = at;
    }
    expect(steps).to.be.greaterThan(30);
  });
});
