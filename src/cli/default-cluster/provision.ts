import { join } from 'node:path';
import { commandFailure } from '../../base/errors.js';
import { writePrivateFile } from '../../base/files.js';
import type { ControlPlane } from '../../control-plane/control-plane.js';
import { ServiceError } from '../../control-plane/service/errors.js';
import type { Input, OperationName, Output } from '../../control-plane/service/operations.js';
import type { HsmConnection } from '../../hsm/hsm.js';
import { FIRST_PASSWORD } from '../../hsm/user-rules.js';
import { ensureCredentials } from '../credentials.js';
import type { Home } from '../home.js';
import { newIdentity, newStandInAuthority } from '../stand-in-authority.js';
import { forgetPlan, type Plan, writePlan } from './plan.js';

/*
 * Makes the default cluster as its owner would: with the API's operations, an authority that signs its certificate, and a
 * first password. What there is already is seen each time, so a start goes on where the last one was interrupted.
 */

type ClusterView = NonNullable<Output<'DescribeClusters'>['Clusters']>[number];

export interface ProvisioningParts {
  readonly home: Home;
  readonly controlPlane: ControlPlane;
  /** A connection to an HSM of an initialised cluster. */
  readonly connect: (clusterId: string) => Promise<HsmConnection>;
  readonly progress: (step: string) => void;
}

/** Certificates of a client, and what it needs to know the HSMs: written before the cluster is initialised with their authority. */
async function signWithNewAuthority(home: Home, clusterId: string, csr: string) {
  const authority = await newStandInAuthority(`cloudhsm-local customer CA of ${clusterId}`);
  const [certificate, client] = await Promise.all([
    authority.answer(csr),
    newIdentity(authority, 'client', 'client'),
  ]);
  authority.forget();
  const write = (name: string, contents: string): void =>
    writePrivateFile(join(home.certificatesDirectory, name), contents);
  write('client.crt', client.certificate);
  write('client.key', client.privateKey);
  write('customerCA.crt', authority.trustAnchor);
  return { SignedCert: certificate, TrustAnchor: authority.trustAnchor };
}

/** The first password of the admin, which activates the cluster, and a crypto user. */
async function makeUsers(home: Home, connection: HsmConnection): Promise<void> {
  const { admin, cryptoUser } = ensureCredentials(home);
  try {
    const users = await connection.send('listUsers', undefined);
    const isNew = users.some(({ role }) => role === 'PRECO');
    if (!isNew && users.some(({ name }) => name === cryptoUser.name)) return;
    const { name, password } = admin;
    await connection.send(
      'login',
      isNew ? { name, role: 'PRECO', password: FIRST_PASSWORD } : { name, role: 'CO', password },
    );
    if (isNew) await connection.send('changePassword', { name, role: 'PRECO', password });
    await connection.send('createUser', { ...cryptoUser, role: 'CU' });
  } finally {
    connection.close();
  }
}

const passes = ({ State }: { readonly State?: string | undefined }): boolean =>
  State?.endsWith('_IN_PROGRESS') === true;
/** Whether it waits for its owner, not the owner for it. */
const isSettled = (cluster: ClusterView): boolean => !passes(cluster) && cluster.Hsms?.some(passes) !== true;

class Provisioning {
  #clusterId: string | undefined;
  #wake: () => void = () => undefined;

  constructor(
    private readonly parts: ProvisioningParts,
    private plan: Plan,
  ) {
    this.#clusterId = plan.clusterId;
    parts.controlPlane.context.catalogue.onCommit(() => this.#wake());
  }

  #call<N extends OperationName>(name: N, input: Input<N>): Promise<Output<N>> {
    const { account, region } = this.plan;
    return this.parts.controlPlane.call(name, input, { account, region }, 'cloudhsm-local');
  }

  async #describe(): Promise<ClusterView | undefined> {
    const Filters = { vpcIds: [this.plan.subnet.vpcId] };
    const { Clusters = [] } = await this.#call('DescribeClusters', { Filters });
    return Clusters.find(({ ClusterId }) => ClusterId === (this.#clusterId ?? ClusterId));
  }

  async #until(holds: (cluster: ClusterView) => boolean): Promise<ClusterView | undefined> {
    for (;;) {
      const changed = new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      const cluster = await this.#describe();
      if (cluster === undefined || holds(cluster)) return cluster;
      await changed;
    }
  }

  async #create(): Promise<void> {
    const { hsmType: HsmType, mode: Mode, subnet } = this.plan;
    this.parts.progress('creating the cluster');
    try {
      const { Cluster } = await this.#call('CreateCluster', { HsmType, Mode, SubnetIds: [subnet.id] });
      this.#clusterId = Cluster!.ClusterId!;
    } catch (error) {
      // Asked for otherwise, it may be another one.
      if (error instanceof ServiceError) forgetPlan(this.parts.home);
      throw error;
    }
  }

  async #createHsms(present: number): Promise<void> {
    const { hsms, subnet } = this.plan;
    for (let ordinal = present + 1; ordinal <= hsms; ordinal++) {
      this.parts.progress(`creating HSM ${ordinal} of ${hsms}`);
      const place = { ClusterId: this.#clusterId!, AvailabilityZone: subnet.availabilityZone };
      await this.#call('CreateHsm', place);
      // The others begin with a backup of it.
      if (ordinal === 1) return;
    }
  }

  /** Does what comes next; false when nothing does. */
  async #advance(cluster: ClusterView | undefined): Promise<boolean> {
    const { home, connect, progress } = this.parts;
    const { hsms, activated, clusterId } = this.plan;
    if (cluster === undefined) {
      // Whoever has deleted it wanted that.
      if (clusterId !== undefined) return false;
      await this.#create();
      return true;
    }
    const { ClusterId, State, Hsms = [], Certificates } = cluster;
    this.#clusterId = ClusterId!;
    if (clusterId === undefined) this.plan = writePlan(home, { ...this.plan, clusterId: ClusterId! });
    switch (State) {
      case 'UNINITIALIZED':
        if (Hsms.length === 0) await this.#createHsms(0);
        else {
          progress('initialising the cluster');
          const certificates = await signWithNewAuthority(home, ClusterId!, Certificates!.ClusterCsr!);
          await this.#call('InitializeCluster', { ClusterId: ClusterId!, ...certificates });
        }
        return true;
      case 'INITIALIZED':
        if (!activated) return false;
        progress('activating the cluster');
        await makeUsers(home, await connect(ClusterId!));
        // The HSM has told the API.
        await this.#until((now) => now.State !== 'INITIALIZED');
        return true;
      case 'ACTIVE':
        if (Hsms.length >= hsms) return false;
        if (activated) await makeUsers(home, await connect(ClusterId!));
        await this.#createHsms(Hsms.length);
        return true;
      default:
        return false;
    }
  }

  async run(): Promise<void> {
    while (await this.#advance(await this.#until(isSettled)));
    writePlan(this.parts.home, { ...this.plan, complete: true });
  }
}

/** Makes the home's default cluster, or what is missing of it. Throws BAD_CONFIGURATION or START_FAILED. */
export async function provision(parts: ProvisioningParts, plan: Plan): Promise<void> {
  if (plan.complete) return;
  try {
    await parts.controlPlane.hurry(() => new Provisioning(parts, plan).run());
  } catch (error) {
    const code = error instanceof ServiceError ? 'BAD_CONFIGURATION' : 'START_FAILED';
    throw commandFailure(code, 'the default cluster could not be made', error);
  }
}
