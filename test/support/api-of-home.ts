import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { CloudHSMV2Client, type Cluster, DescribeClustersCommand } from '@aws-sdk/client-cloudhsm-v2';
import { connectToHsm } from '../../src/cluster/connect-to-hsm.js';
import type { TlsIdentity } from '../../src/cluster/tls.js';
import { cloudhsmLocal } from './engine.js';

const credentials = { accessKeyId: 'AKIDEXAMPLE', secretAccessKey: 'x' };

/** A home, and what AWS's client sees of it. */
export class ApiOfHome {
  #client: CloudHSMV2Client | undefined;

  constructor(readonly home: string) {}

  // biome-ignore lint/suspicious/noExplicitAny: JSON
  async status(): Promise<any> {
    return JSON.parse((await cloudhsmLocal(['status', '--json', '--home', this.home])).stdout);
  }

  async client(): Promise<CloudHSMV2Client> {
    const { endpoint } = await this.status();
    this.#client ??= new CloudHSMV2Client({ endpoint, region: 'us-east-1', credentials });
    return this.#client;
  }

  async clusters(): Promise<Cluster[]> {
    return (await (await this.client()).send(new DescribeClustersCommand({}))).Clusters!;
  }

  async until(holds: (cluster: Cluster) => boolean): Promise<Cluster> {
    for (;;) {
      const [cluster] = await this.clusters();
      if (holds(cluster!)) return cluster!;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  file(...names: string[]): string {
    return readFileSync(join(this.home, ...names), 'utf8');
  }

  /** The client that the home's authority has certified. */
  get identity(): TlsIdentity {
    const pem = (name: string): string => this.file('certificates', name);
    return {
      certificate: pem('client.crt'),
      privateKey: pem('client.key'),
      trustAnchor: pem('customerCA.crt'),
    };
  }

  /** Logs the crypto user in at an HSM's address, with the certificates of the home; the keys it sees. */
  async keysAt(host: string): Promise<readonly number[]> {
    const { identity } = this;
    const connection = await connectToHsm({ endpoint: { host, port: 2223 }, identity });
    const { name, password } = JSON.parse(this.file('credentials.json')).cryptoUser;
    await connection.send('login', { name, password, role: 'CU' });
    const found = await connection.send('findObjects', { template: [] });
    connection.close();
    return found;
  }

  close(): void {
    this.#client?.destroy();
    this.#client = undefined;
  }
}

export const isWhole = ({ State, Hsms }: Cluster): boolean =>
  State === 'ACTIVE' && Hsms!.every((hsm) => hsm.State === 'ACTIVE');
