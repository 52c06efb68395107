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
    this.host = mortal(
      this.hsms,
      ['create', 'initialize', 'limitWrites', 'backUp', 'retire', 'remove'],
      this.death,
    );
    this.keeping = mortal(this.archive, ['store', 'copy', 'remove'], this.death);
  }

  get isDead(): boolean {
    return this.death.writes >= this.death.at;
  }

  /** Who waits for a process that dies waits for ever. */
  override async settled(): Promise<void> {
    await Promise.race([super.settled(), this.#end()]);
    if (this.isDead) await never;
  }

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
    return next.open({ healthCheckMs: 30_000 });
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
  /** How many HSMs there are, where others come for those that go. */
  hsmCount: number;
  /** The type that was asked for last, and the one before. */
  hsmTypes: readonly string[];
  restoredBackup?: string;
  isDeleted: boolean;
}

type Life = (api: MortalControlPlane, known: Acknowledged) => Promise<void>;

async function createCluster(api: MortalControlPlane, known: Acknowledged, HsmType: string): Promise<string> {
  const input = { HsmType, Mode: 'FIPS' as const, SubnetIds: [...subnets] };
  const { Cluster } = await api.call('CreateCluster', input);
  known.clusterId = Cluster!.ClusterId!;
  known.hsmTypes = [HsmType];
  await api.settle();
  return known.clusterId;
}

async function createHsm(api: MortalControlPlane, ClusterId: string, zone: string): Promise<string> {
  const { Hsm } = await api.call('CreateHsm', { ClusterId, AvailabilityZone: `us-east-1${zone}` });
  await api.settle();
  return Hsm!.HsmId;
}

async function initialize(api: MortalControlPlane, known: Acknowledged, ClusterId: string): Promise<void> {
  const { signedCert, trustAnchor } = ownerOf((await api.cluster(ClusterId)).Certificates!.ClusterCsr!);
  await api.call('InitializeCluster', { ClusterId, SignedCert: signedCert, TrustAnchor: trustAnchor });
  known.owner = signedCert;
  await api.settle();
}

/** A cluster's life, step by step; what was acknowledged is put down before the next step. */
const comesAndGoes: Life = async (api, known) => {
  const ClusterId = await createCluster(api, known, 'hsm2m.medium');
  const create = async (zone: string) => {
    const id = await createHsm(api, ClusterId, zone);
    known.hsms.add(id);
    return id;
  };
  const first = await create('a');
  await initialize(api, known, ClusterId);
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
};

/** HSMs fail, before activation and after it, and change their type forth and back. */
const failsAndChanges: Life = async (api, known) => {
  const ClusterId = await createCluster(api, known, 'hsm1.medium');
  const first = await createHsm(api, ClusterId, 'a');
  await initialize(api, known, ClusterId);
  delete known.owner;
  api.hsms.fail(first);
  await api.settle();
  const [{ HsmId: second }] = (await api.cluster(ClusterId)).Hsms as [{ HsmId: string }];
  await initialize(api, known, ClusterId);
  api.hsms.running.get(second)!.content.push('a key');
  api.hsms.activate(second);
  await api.settle();
  await createHsm(api, ClusterId, 'b');
  known.hsmCount = 2;
  api.hsms.fail(second);
  await api.settle();
  for (const HsmType of ['hsm2m.medium', 'hsm1.medium']) {
    known.hsmTypes = [...known.hsmTypes.slice(-1), HsmType];
    await api.call('ModifyCluster', { ClusterId, HsmType });
    known.hsmTypes = [HsmType];
    await api.settle();
  }
};

/** What is done to backups and policies, and the end of a cluster. */
const isTidiedUp: Life = async (api, known) => {
  const ClusterId = await createCluster(api, known, 'hsm2m.medium');
  const HsmId = await createHsm(api, ClusterId, 'a');
  await initialize(api, known, ClusterId);
  api.hsms.running.get(HsmId)!.content.push('a key');
  api.hsms.activate(HsmId);
  await api.settle();
  const [{ BackupId, BackupArn: ResourceArn }] = (await api.backups(ClusterId)) as [
    { BackupId: string; BackupArn: string },
  ];
  await api.call('ModifyBackupAttributes', { BackupId, NeverExpires: true });
  const Policy = JSON.stringify({
    Statement: {
      Effect: 'Allow',
      Principal: { AWS: '210987654321' },
      Action: 'cloudhsm:CreateCluster',
      Resource: ResourceArn,
    },
  });
  await api.call('PutResourcePolicy', { ResourceArn, Policy });
  await api.call('DeleteResourcePolicy', { ResourceArn });
  await api.call('DeleteBackup', { BackupId });
  await api.call('RestoreBackup', { BackupId });
  known.restoredBackup = BackupId;
  await api.call('TagResource', { ResourceId: BackupId, TagList: [{ Key: 'a', Value: 'b' }] });
  await api.call('UntagResource', { ResourceId: BackupId, TagKeyList: ['a'] });
  known.leavingHsms.add(HsmId);
  await api.call('DeleteHsm', { ClusterId, HsmId });
  await api.settle();
  known.isDeleted = true;
  await api.call('DeleteCluster', { ClusterId });
  await api.settle();
};

/** What must hold for each record, whatever has happened. */
function checkRecords(api: TestedControlPlane): void {
  const { catalogue } = api.controlPlane.context;
  for (const cluster of catalogue.all('cluster') as ClusterRecord[]) {
    expect(Object.keys(clusterLifecycle)).to.contain(cluster.state);
    expect(cluster.state).not.to.match(/IN_PROGRESS/);
    for (const { id, state, hsmType } of cluster.hsms) {
      expect(state).to.equal('ACTIVE');
      expect(hsmType).to.equal(cluster.hsmType);
      expect(api.hsms.running.has(id), `${id} runs`).to.equal(true);
      expect(api.hsms.running.get(id)!.limitsWrites, `${id} takes writes`).to.equal(false);
    }
    const isOwned = ['INITIALIZED', 'ACTIVE'].includes(cluster.state);
    if (cluster.state !== 'DELETED') expect(cluster.trust !== undefined, cluster.state).to.equal(isOwned);
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
  if (known.isDeleted && cluster.State === 'DELETED') return;
  expect(known.hsmTypes).to.include(cluster.HsmType);
  if (known.hsmCount > 0) expect(cluster.Hsms).to.have.length(known.hsmCount);
  const ids = cluster.Hsms!.map(({ HsmId }) => HsmId);
  for (const id of known.deletedHsms) expect(ids, 'a deleted HSM').not.to.contain(id);
  expect(ids).to.include.members([...known.hsms].filter((id) => !known.leavingHsms.has(id)));
  if (known.owner !== undefined) expect(cluster.Certificates!.ClusterCertificate).to.equal(known.owner);
  if (known.tags > 0) expect(cluster.TagList).to.have.length(1);
  const backups = await api.backups(known.clusterId);
  for (const id of known.deletedBackups)
    expect(backups.find(({ BackupId }) => BackupId === id)?.BackupState).not.to.equal('READY');
  if (known.restoredBackup !== undefined) {
    const restored = backups.find(({ BackupId }) => BackupId === known.restoredBackup);
    expect(restored).to.include({ BackupState: 'READY', NeverExpires: true });
  }
  const { Backups: copies } = await api.call('DescribeBackups', {}, { ...realm, region: 'us-west-2' });
  expect(copies!.length).to.be.at.least(known.copies);
  if (cluster.State === 'ACTIVE') {
    // What applications had written is still there, or comes back with the next HSM.
    const [id] = ids.length > 0 ? ids : [(await api.newHsm(known.clusterId)).HsmId];
    expect(api.hsms.running.get(id!)!.content).to.deep.equal(['a key']);
  }
}

const lives: readonly [string, Life, number][] = [
  ['while HSMs and backups come and go', comesAndGoes, 30],
  ['while HSMs fail and change their type', failsAndChanges, 60],
  ['while backups are restored and shared, and a cluster ends', isTidiedUp, 20],
];

const nothingKnown = (): Acknowledged => ({
  hsms: new Set(),
  leavingHsms: new Set(),
  deletedHsms: new Set(),
  deletedBackups: new Set(),
  tags: 0,
  copies: 0,
  hsmCount: 0,
  hsmTypes: [],
  isDeleted: false,
});

describe('a control plane that dies', () => {
  for (const [when, live, leastSteps] of lives)
    it(`${when}, at any of its writes, goes on after a restart and has lost nothing that was acknowledged`, async () => {
      let steps = 0;
      for (let at = 1; ; at++) {
        let died = false;
        for (const arrives of [false, true]) {
          const api = new MortalControlPlane(at, arrives);
          const known = nothingKnown();
          await api.attempt(async () => {
            await api.open();
            await live(api, known);
          });
          died ||= api.isDead;
          if (!api.isDead) continue;
          const next = await api.revive();
          // Retries wait a little, and so does whoever looks after HSMs.
          await next.advance(150_000);
          checkRecords(next);
          await checkAcknowledged(next, known);
          await next.controlPlane.close();
        }
        if (!died) break;
        steps = at;
      }
      expect(steps).to.be.greaterThan(leastSteps);
    });
});
