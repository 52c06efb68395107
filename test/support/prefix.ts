import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TlsIdentity } from '../../src/cluster/tls.js';

/** A prefix as CloudHSM's packages lay it out, with the configuration files of tools in its `etc`. */
export class TestPrefix {
  readonly directory = mkdtempSync(join(tmpdir(), 'chl-prefix-'));

  /** `servers` are the HSMs that the files name, `identity` is the client's. */
  constructor(
    servers: readonly { readonly host: string; readonly port: number }[],
    identity: TlsIdentity,
    options: object = {},
  ) {
    mkdirSync(this.path('etc'));
    this.write('etc/customerCA.crt', identity.trustAnchor);
    this.write('etc/client.crt', identity.certificate);
    this.write('etc/client.key', identity.privateKey);
    const hosts = servers.map(({ host, port }) => ({ hostname: host, port, enable: true }));
    const cluster = { hsm_ca_file: this.path('etc/customerCA.crt'), servers: hosts, options };
    this.write('etc/cloudhsm-cli.cfg', JSON.stringify({ clusters: [{ type: 'hsm1', cluster }] }));
    const managed = servers.map(({ host, port }, at) => ({
      hostname: host,
      name: `server${at}`,
      port,
      enable: 'yes',
      certificate: this.path('etc/client.crt'),
      pkey: this.path('etc/client.key'),
      e2e_encryption: { enable: 'yes', owner_cert_path: this.path('etc/customerCA.crt') },
    }));
    this.write('etc/cloudhsm_mgmt_util.cfg', JSON.stringify({ servers: managed }));
    const [first] = servers;
    const server = { hostname: first?.host ?? '', port: first?.port ?? 2223 };
    this.write('etc/cloudhsm_client.cfg', JSON.stringify({ client: {}, server }));
  }

  path(...parts: string[]): string {
    return join(this.directory, ...parts);
  }

  write(name: string, contents: string | Uint8Array): string {
    writeFileSync(this.path(name), contents);
    return this.path(name);
  }

  remove(): void {
    rmSync(this.directory, { recursive: true, force: true });
  }
}
