import { join } from 'node:path';
import { silentLog } from '../../src/base/log.js';
import type { Cluster } from '../../src/cluster/cluster.js';
import { LocalHsms } from '../../src/control-plane/hosting/local-hsms.js';
import type { Hsm, HsmConnection } from '../../src/hsm/hsm.js';
import { newBackupKeys, settingsOf } from './backups.js';
import { ownerOf, TestedControlPlane, temporaryDirectory } from './control-plane.js';
import { fakeRoots } from './fake-hsms.js';
import { loggedIn, PASSWORD } from './in-process.js';

/** A control plane over HSMs that work, in this process and with stores on disk, with time that the test moves. */
export class HostedControlPlane extends TestedControlPlane {
  #directory = temporaryDirectory();
  #backupKeys = newBackupKeys();
  hosted!: LocalHsms;

  get directory(): string {
    return join(this.#directory.path, 'hsms');
  }

  get failedDirectory(): string {
    return join(this.#directory.path, 'failed');
  }

  override async open(settings = this.settings): Promise<this> {
    this.hosted = new LocalHsms({
      directory: this.directory,
      failedDirectory: this.failedDirectory,
      settingsOf: ({ hsmId: id, ordinal, hsmType, mode }) => settingsOf({ id, ordinal, hsmType, mode }),
      backupKeys: this.#backupKeys,
      roots: await fakeRoots(),
      ports: [0],
      synchronisationMs: 60_000,
      log: silentLog,
    });
    this.host = this.hosted;
    return super.open(settings);
  }

  /** What a process that ends in good order leaves. */
  async end(): Promise<void> {
    await this.controlPlane.close();
    await this.hosted.close();
  }

  override async restart(): Promise<void> {
    await this.end();
    await this.open();
  }

  async close(): Promise<void> {
    await this.end();
    this.#directory.remove();
  }

  /** As the engine offers it to programs. */
  clusterOf(id: string): Cluster {
    return this.hosted.clusters.find(({ settings }) => settings.id === id)!;
  }

  hsmOf(id: string, hsmId: string): Hsm {
    return this.clusterOf(id).hsms.find(({ settings }) => settings.id === hsmId)!;
  }

  /** A cluster with an owner, and one HSM with the first password. */
  async initialisedCluster(hsmType: 'hsm1.medium' | 'hsm2m.medium' = 'hsm2m.medium') {
    const id = await this.newCluster({ HsmType: hsmType });
    const { HsmId: hsmId } = await this.newHsm(id);
    await this.settleAll();
    const { signedCert, trustAnchor } = ownerOf((await this.cluster(id)).Certificates!.ClusterCsr!);
    await this.call('InitializeCluster', { ClusterId: id, SignedCert: signedCert, TrustAnchor: trustAnchor });
    await this.settleAll();
    return { id, hsmId };
  }

  /** A cluster that has admin, crypto_user and other_user, and HSMs in zones a, b, and so on. */
  async usedCluster(hsms: number, hsmType: 'hsm1.medium' | 'hsm2m.medium' = 'hsm2m.medium'): Promise<string> {
    const { id, hsmId } = await this.initialisedCluster(hsmType);
    const admin = this.hsmOf(id, hsmId).connect();
    await admin.send('login', { name: 'admin', password: 'password', role: 'PRECO' });
    await admin.send('changePassword', { name: 'admin', role: 'PRECO', password: PASSWORD });
    for (const name of ['crypto_user', 'other_user'])
      await admin.send('createUser', { name, role: 'CU', password: PASSWORD });
    admin.close();
    await this.settleAll();
    for (let at = 1; at < hsms; at++) await this.newHsm(id, 'abcdef'[at]);
    await this.settleAll();
    return id;
  }

  /** Until nothing more happens by itself, whatever states last. */
  async settleAll(): Promise<void> {
    await this.advance(this.settings.awsTiming ? 20 * 60_000 : 0);
  }

  async officer(id: string, hsmId: string): Promise<HsmConnection> {
    return loggedIn(this.hsmOf(id, hsmId), 'admin', 'CO');
  }
}
