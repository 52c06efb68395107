import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { silentLog } from '../../src/base/log.js';
import type { BackupArchive } from '../../src/control-plane/backup-archive.js';
import { ControlPlane } from '../../src/control-plane/control-plane.js';
import type { HsmHost } from '../../src/control-plane/hsm-host.js';
import type { ServiceError } from '../../src/control-plane/service/errors.js';
import {
  type Input,
  type OperationName,
  type Output,
  operations,
} from '../../src/control-plane/service/operations.js';
import { validate } from '../../src/control-plane/service/validate.js';
import type { Realm } from '../../src/control-plane/state/records.js';
import type { ControlPlaneSettings } from '../../src/control-plane/state/settings.js';
import type { Profile } from '../../src/objects/deviations.js';
import { openMemoryStore } from '../../src/store/memory-store.js';
import type { RecordStore } from '../../src/store/record-store.js';
import { FakeArchive, FakeHsms } from './fake-hsms.js';
import { VirtualTime } from './virtual-time.js';

export const realm: Realm = { account: '123456789012', region: 'us-east-1' };
export const subnets = ['subnet-0e358c43', 'subnet-09bb7fdaf05e437bf'] as const;

/** A subnet is in one account and region. */
const subnetsOf = (caller: Realm): string[] =>
  caller.account === realm.account && caller.region === realm.region
    ? [...subnets]
    : [
        `subnet-${Buffer.from(caller.account + caller.region)
          .toString('hex')
          .slice(-17)}`,
      ];

/** Runs openssl and answers what it prints. */
export const openssl = (directory: string, ...words: string[]): string =>
  execFileSync('openssl', words, { cwd: directory, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });

export function temporaryDirectory(): { path: string; remove(): void } {
  const path = mkdtempSync(join(tmpdir(), 'chl-api-'));
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) };
}

export interface Owner {
  readonly signedCert: string;
  readonly trustAnchor: string;
}

/** Signs a cluster's CSR as the documentation shows it (reference section 7.3). */
export function signCsr(csr: string): Owner {
  const { path, remove } = temporaryDirectory();
  writeFileSync(join(path, 'cluster.csr'), csr);
  openssl(
    path,
    ...'req -newkey rsa:2048 -nodes -keyout ca.key -x509 -days 3652 -out ca.crt -subj /CN=CA'.split(' '),
  );
  openssl(
    path,
    ...'x509 -req -days 3652 -in cluster.csr -CA ca.crt -CAkey ca.key -CAcreateserial -out signed.crt'.split(
      ' ',
    ),
  );
  const read = (file: string): string => readFileSync(join(path, file), 'utf8');
  const owner = { signedCert: read('signed.crt'), trustAnchor: read('ca.crt') };
  remove();
  return owner;
}

/** One signature per CSR: HSMs of the tests share theirs. */
const owners = new Map<string, Owner>();
export function ownerOf(csr: string): Owner {
  const owner = owners.get(csr) ?? signCsr(csr);
  owners.set(csr, owner);
  return owner;
}

/** So often in a row nothing is written before a control plane counts as quiet. */
const QUIET = 5;

interface Owned {
  readonly caller?: Realm;
  readonly hsmType?: string;
}

/** A control plane over HSMs of the tests, with time that the test moves. */
export class TestedControlPlane {
  hsms = new FakeHsms();
  archive = new FakeArchive();
  time = new VirtualTime();
  /** What the control plane has of them: a test may come between. */
  host: HsmHost = this.hsms;
  keeping: BackupArchive = this.archive;
  /** It outlives the control plane. */
  store: RecordStore = { ...openMemoryStore(), close: async () => undefined };
  controlPlane!: ControlPlane;
  settings: Partial<ControlPlaneSettings> = {};
  #commits = 0;
  profile: Profile = 'compatible';
  /** What was let pass although AWS refuses it: deviation, operation, program. */
  readonly deviated: string[][] = [];

  async open(settings: Partial<ControlPlaneSettings> = this.settings): Promise<this> {
    this.settings = settings;
    const { host, keeping: archive, time, store, profile } = this;
    this.controlPlane = await ControlPlane.open({
      store,
      host,
      archive,
      time,
      log: silentLog,
      settings: { healthCheckMs: Number.POSITIVE_INFINITY, ...settings },
      profile,
      deviated: (...deviation) => this.deviated.push(deviation),
    });
    this.controlPlane.context.catalogue.onCommit(() => this.#commits++);
    await this.settle();
    return this;
  }

  /** Ends it and opens what it has left. */
  async restart(): Promise<void> {
    await this.controlPlane.close();
    await this.open();
  }

  /** Calls an operation and looks at the answer's shape. */
  call<N extends OperationName>(name: N, input: Input<N>, caller: Realm = realm): Promise<Output<N>> {
    return this.controlPlane.call(name, input, caller).then((output) => {
      validate(operations[name].output, JSON.parse(JSON.stringify(output)));
      return output;
    });
  }

  /** Until nothing is left that could run now: where one job ends another one may begin. */
  settle = async (): Promise<void> => {
    let seen = this.#commits;
    for (let quiet = 0; quiet < QUIET; quiet++) {
      await new Promise((resolve) => setImmediate(resolve));
      await this.settled();
      if (this.#commits !== seen) quiet = 0;
      seen = this.#commits;
    }
  };

  /** Until no job runs. */
  settled(): Promise<void> {
    return this.controlPlane.settled();
  }

  advance = (ms: number): Promise<void> => this.time.advance(ms, this.settle);

  async refusal(call: Promise<unknown>): Promise<{ code: string; message: string }> {
    try {
      await call;
    } catch (error) {
      const { code, message } = error as ServiceError;
      if (code === undefined) throw error;
      return { code, message };
    }
    return { code: 'none', message: 'it was allowed' };
  }

  async refused(call: Promise<unknown>, message: RegExp | string): Promise<void> {
    const refusal = await this.refusal(call);
    expect(refusal.code).to.equal('CloudHsmInvalidRequestException', refusal.message);
    expect(refusal.message).to.match(message instanceof RegExp ? message : new RegExp(message));
  }

  async cluster(id: string, caller: Realm = realm) {
    const { Clusters } = await this.call('DescribeClusters', { Filters: { clusterIds: [id] } }, caller);
    return Clusters![0]!;
  }

  async backups(clusterId: string, caller: Realm = realm) {
    const { Backups } = await this.call('DescribeBackups', { Filters: { clusterIds: [clusterId] } }, caller);
    return Backups!;
  }

  async newCluster(changes: Partial<Input<'CreateCluster'>> = {}, caller: Realm = realm): Promise<string> {
    const SubnetIds = subnetsOf(caller);
    const input = { HsmType: 'hsm2m.medium', Mode: 'FIPS' as const, SubnetIds, ...changes };
    const { Cluster } = await this.call('CreateCluster', input, caller);
    await this.settle();
    return Cluster!.ClusterId!;
  }

  async newHsm(clusterId: string, zone = 'a', caller: Realm = realm) {
    const AvailabilityZone = `${caller.region}${zone}`;
    const { Hsm } = await this.call('CreateHsm', { ClusterId: clusterId, AvailabilityZone }, caller);
    await this.settle();
    return Hsm!;
  }

  /** As long as a state lasts that passes by itself. */
  #pass(): Promise<void> {
    return this.settings.awsTiming ? this.advance(600_000) : this.settle();
  }

  /** A cluster with one HSM whose owner is known. */
  async initializedCluster({ caller = realm, hsmType = 'hsm2m.medium' }: Owned = {}) {
    const id = await this.newCluster({ HsmType: hsmType }, caller);
    await this.#pass();
    const { HsmId: hsmId } = await this.newHsm(id, 'a', caller);
    await this.#pass();
    const { signedCert, trustAnchor } = ownerOf((await this.cluster(id, caller)).Certificates!.ClusterCsr!);
    const input = { ClusterId: id, SignedCert: signedCert, TrustAnchor: trustAnchor };
    await this.call('InitializeCluster', input, caller);
    await this.#pass();
    return { id, hsmId };
  }

  /** A cluster that is ready for use, with one HSM. */
  async activeCluster(owned: Owned = {}): Promise<{ id: string; hsmId: string }> {
    const made = await this.initializedCluster(owned);
    this.hsms.activate(made.hsmId);
    await this.#pass();
    return made;
  }
}
