import { configSchema } from '../../src/base/config.js';
import { silentLog } from '../../src/base/log.js';
import type { ApiHsms } from '../../src/cli/api-hsms/api-hsms.js';
import { inProcesses } from '../../src/cli/api-hsms/in-processes.js';
import { findHome, type Home } from '../../src/cli/home.js';
import { ensureRoots } from '../../src/cli/roots.js';
import type { Patience } from '../../src/control-plane/hosting/hsm-process.js';
import type { ProcessHsms } from '../../src/control-plane/hosting/process-hsms.js';
import type { HsmConnection } from '../../src/hsm/hsm.js';
import { ownerOf, TestedControlPlane, temporaryDirectory } from './control-plane.js';
import { PASSWORD } from './in-process.js';
import { until } from './network.js';

/** A control plane over HSMs in processes of their own, with time that the test moves. */
export class ProcessControlPlane extends TestedControlPlane {
  #directory = temporaryDirectory();
  readonly home: Home = findHome(this.#directory.path);
  apiHsms!: ApiHsms;

  /** @param patience how long HSMs may take for their answers, in this process's time */
  constructor(private readonly patience: Patience = {}) {
    super();
  }

  override async open(settings = this.settings): Promise<this> {
    await ensureRoots(this.home);
    const config = configSchema.parse({ logLevel: 'silent' });
    this.apiHsms = inProcesses(this.home, config, silentLog, this.patience);
    this.host = this.apiHsms.host;
    return super.open({ networkSeed: this.home.directory, ...settings });
  }

  get hosted(): ProcessHsms {
    return this.host as ProcessHsms;
  }

  async close(): Promise<void> {
    await this.controlPlane.close();
    await this.apiHsms.close();
    this.#directory.remove();
  }

  /** kill -9, and the process that comes in its place. */
  async kill(hsmId: string): Promise<void> {
    const pid = this.hosted.pids.get(hsmId)!;
    process.kill(pid, 'SIGKILL');
    await until(async () => this.hosted.pids.get(hsmId) !== pid);
  }

  /** Whether the first HSM of a cluster can be reached. */
  listens(id: string): Promise<boolean> {
    return this.apiHsms.connect(id).then(
      (connection) => {
        connection.close();
        return true;
      },
      () => false,
    );
  }

  /** A connection to the first HSM of a cluster, with the admin logged in. */
  async officer(id: string): Promise<HsmConnection> {
    const admin = await this.apiHsms.connect(id);
    await admin.send('login', { name: 'admin', password: PASSWORD, role: 'CO' });
    return admin;
  }

  /** A cluster whose admin has a password, with HSMs in zones a, b, and so on. */
  async usedCluster(hsms: number): Promise<string> {
    const id = await this.newCluster();
    await this.newHsm(id);
    await this.settle();
    const { signedCert, trustAnchor } = ownerOf((await this.cluster(id)).Certificates!.ClusterCsr!);
    await this.call('InitializeCluster', { ClusterId: id, SignedCert: signedCert, TrustAnchor: trustAnchor });
    await this.settle();
    const admin = await this.apiHsms.connect(id);
    await admin.send('login', { name: 'admin', password: 'password', role: 'PRECO' });
    await admin.send('changePassword', { name: 'admin', role: 'PRECO', password: PASSWORD });
    admin.close();
    await until(async () => (await this.cluster(id)).State === 'ACTIVE');
    for (let at = 1; at < hsms; at++) await this.newHsm(id, 'abcdef'[at]);
    await this.settle();
    return id;
  }
}
