import { rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Config } from '../base/config.js';
import { commandFailure, describeError, Failure } from '../base/errors.js';
import { readFileIfPresent, writePrivateFile } from '../base/files.js';
import type { Log } from '../base/log.js';
import { connectToHsm } from '../cluster/connect-to-hsm.js';
import { type HsmServer, serveHsm } from '../cluster/hsm-server.js';
import type { Peer } from '../cluster/synchronizer.js';
import type { TlsIdentity } from '../cluster/tls.js';
import type { IssuedIdentity } from '../control-plane/identity/uses.js';
import { digest } from '../crypto/index.js';
import type { Hsm } from '../hsm/hsm.js';
import { readIdentity } from '../tools/connection/identity.js';
import type { Member, Members } from '../wire/hsm-frames.js';
import type { ClusterFile } from './cluster-file.js';
import type { Home } from './home.js';
import { certifyHsm } from './roots.js';
import { newIdentity, newStandInAuthority, standInAuthority } from './stand-in-authority.js';

type Network = Pick<Config, 'eniNetwork' | 'hsmPorts'>;

/** Two clusters of one machine have addresses that differ: 127.x.y.z, where x and y come from an id. */
export function networkOf(id: string, { eniNetwork }: Pick<Config, 'eniNetwork'>): string {
  const hash = digest('sha256', Buffer.from(id));
  // 127.0.y.z is where other programs listen.
  return eniNetwork ?? `127.${1 + (hash[0]! % 254)}.${hash[1]}`;
}

export function eniIpOf(
  file: Pick<ClusterFile, 'id'>,
  { ordinal, eniIp }: Omit<ClusterFile['hsms'][number], 'id'>,
  network: Network,
): string {
  return eniIp ?? `${networkOf(file.id, network)}.${9 + ordinal}`;
}

export function membersOf(file: ClusterFile, network: Network): Members {
  const hsms: Member[] = file.hsms.map(({ id, ordinal, eniIp }) => ({
    id,
    ordinal,
    eniIp: eniIpOf(file, { ordinal, eniIp }, network),
    port: network.hsmPorts[0]!,
  }));
  return { version: file.version ?? 1, clusterId: file.id, hsmType: file.hsmType, mode: file.mode, hsms };
}

const certificateFile = (home: Home, name: string): string => join(home.certificatesDirectory, name);

const authorityName = ({ id }: Pick<ClusterFile, 'id'>): string => `cloudhsm-local customer CA of ${id}`;

function writeIdentity(home: Home, name: string, { certificate, privateKey }: IssuedIdentity): void {
  // The certificate says that both are there.
  writePrivateFile(certificateFile(home, `${name}.key`), privateKey);
  writePrivateFile(certificateFile(home, `${name}.crt`), certificate);
}

/** Certificates of every HSM and of one client, issued when the cluster is initialised: all of them or, after a crash in between,
 * all of them anew. */
export async function ensureCertificates(home: Home, file: ClusterFile): Promise<void> {
  if (readFileIfPresent(certificateFile(home, 'customerCA.crt')) !== undefined) return;
  const authority = await newStandInAuthority(authorityName(file));
  for (const { id } of file.hsms) writeIdentity(home, id, await newIdentity(authority, id, 'hsm'));
  writeIdentity(home, 'client', await newIdentity(authority, 'client', 'client'));
  const { trustAnchor: certificate, privateKey } = authority;
  authority.forget();
  writeIdentity(home, 'customerCA', { certificate, privateKey });
}

/** A certificate for one HSM more. Throws BAD_CONFIGURATION where the authority's key is not. */
export async function issueCertificateFor(home: Home, file: ClusterFile, hsmId: string): Promise<void> {
  const [certificate, privateKey] = ['customerCA.crt', 'customerCA.key'].map((name) => {
    const path = certificateFile(home, name);
    const contents = readFileIfPresent(path);
    if (contents !== undefined) return contents.toString('utf8');
    const why = `${path} is missing (earlier versions kept none), and without it no HSM gets a certificate`;
    const wayOut = `end what runs, remove ${home.certificatesDirectory} and run \`cloudhsm-local init\` on this home: it makes all certificates anew, and clients elsewhere need the new ones`;
    throw commandFailure('BAD_CONFIGURATION', `${why}: ${wayOut}`);
  }) as [string, string];
  const authority = standInAuthority(authorityName(file), { certificate, privateKey });
  writeIdentity(home, hsmId, await newIdentity(authority, hsmId, 'hsm'));
  authority.forget();
}

export function removeCertificateOf(home: Home, hsmId: string): void {
  for (const ending of ['crt', 'key']) rmSync(certificateFile(home, `${hsmId}.${ending}`), { force: true });
}

/** What a tool refuses to do because of a file is a file that the command cannot use. Throws BAD_CONFIGURATION. */
export function asConfiguration<T>(read: () => T, file?: string): T {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    const where = file === undefined ? '' : `${file} cannot be used: `;
    throw commandFailure('BAD_CONFIGURATION', `${where}${error.message}`, error.cause);
  }
}

function identityOf(home: Home, name: string): TlsIdentity {
  const file = (ending: string): string => certificateFile(home, ending);
  return asConfiguration(() =>
    readIdentity({
      certificate: file(`${name}.crt`),
      privateKey: file(`${name}.key`),
      trustAnchor: file('customerCA.crt'),
    }),
  );
}

/** Where a client finds the HSMs, in the form of CloudHSM's own file. */
export const serversOf = (file: ClusterFile, network: Network): object[] =>
  membersOf(file, network).hsms.map(({ eniIp, port }) => ({ hostname: eniIp, port, enable: true }));

/** What a client beside the HSMs needs to find them, in the form of CloudHSM's own file. */
export function clientConfigOf(home: Home, file: ClusterFile, network: Network): object {
  const cluster = {
    cluster_id: file.id,
    hsm_ca_file: certificateFile(home, 'customerCA.crt'),
    client_cert_path: certificateFile(home, 'client.crt'),
    client_key_path: certificateFile(home, 'client.key'),
    servers: serversOf(file, network),
    options: { disable_key_availability_check: file.hsms.length < 2 },
  };
  return { clusters: [{ type: 'hsm1', cluster }] };
}

/** Lets one HSM listen where its cluster says. Throws START_FAILED. */
export async function listen(
  home: Home,
  hsm: Hsm,
  members: () => Members,
  ports: readonly number[],
): Promise<HsmServer> {
  const { id } = hsm.settings;
  const { eniIp } = members().hsms.find((member) => member.id === id)!;
  const identity = identityOf(home, id);
  await certifyHsm(home, hsm, identity.certificate);
  return serveHsm({ hsm, identity, eniIp, ports, members, log: hsm.log });
}

/** Lets all HSMs of this process listen; one that cannot is there for this process alone, and the log says so. */
export async function listenAll(
  home: Home,
  hsms: readonly Hsm[],
  members: Members,
  ports: readonly number[],
  log: Log,
): Promise<HsmServer[]> {
  const servers: HsmServer[] = [];
  for (const hsm of hsms) {
    try {
      servers.push(await listen(home, hsm, () => members, ports));
    } catch (error) {
      log.warn({ hsm: hsm.settings.id }, describeError(error));
    }
  }
  return servers;
}

/** The HSMs of a cluster, as one of them reaches them. */
export function remotePeers(home: Home, hsmId: string, members: () => Members): () => Peer[] {
  const identity = identityOf(home, hsmId);
  const timeouts = { connectMs: 1_000, silenceMs: 3_000 };
  return () =>
    members().hsms.map(({ id, eniIp: host, port }) => ({
      hsmId: id,
      connect: () => connectToHsm({ endpoint: { host, port }, identity, timeouts }),
    }));
}
