import { chmodSync, existsSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { commandFailure } from '../base/errors.js';
import { makeFolder, readFileIfPresent, writeWholeFile } from '../base/files.js';
import { packagedDaemonConfig, packagedManagementConfig } from '../tools/configure/sdk3.js';
import { packagedConfig } from '../tools/configure/sdk5.js';
import { root } from './installation.js';
import { shellWord } from './shell.js';

/*
 * The tree that AWS's packages install (reference management-tools, section 0.1): programs and scripts that name its files run as
 * they are. Libraries and headers are links into this installation, so that they and the engine are always of one version.
 */

/** THE row per library: its name in `lib`, and what it is a link to. SDK 3 has another name for the engine. */
const libraries = {
  'libcloudhsm_pkcs11.so': 'build/pkcs11/libcloudhsm_pkcs11.so',
  'libcloudhsm_openssl_engine.so': 'build/pkcs11/libcloudhsm_openssl_engine.so',
  'libcloudhsm_openssl.so': 'build/pkcs11/libcloudhsm_openssl_engine.so',
} as const;

const HEADERS = 'build/pkcs11/include/pkcs11';

/** THE programs of `bin`: each is bin/<name>.mjs of this installation. */
const programs = [
  'cloudhsm-cli',
  'configure',
  'configure-cli',
  'configure-dyn',
  'configure-jce',
  'configure-ksp',
  'configure-openssl-provider',
  'configure-pkcs11',
  'cloudhsm_mgmt_util',
  'key_mgmt_util',
] as const;

/** Folders that programs write into. */
const folders = ['bin', 'lib', 'include', 'etc', 'etc/certs', 'run'] as const;

function launcher(prefix: string, program: string): string {
  const script = join(root, 'bin', `${program}.mjs`);
  return `#!/bin/sh
CLOUDHSM_LOCAL_PREFIX=${shellWord(prefix)}
export CLOUDHSM_LOCAL_PREFIX
exec ${shellWord(process.execPath)} ${shellWord(script)} "$@"
`;
}

function link(target: string, path: string): void {
  if (!existsSync(target))
    throw commandFailure('BAD_CONFIGURATION', `${target} is not built: run npm run build`);
  rmSync(path, { force: true });
  symlinkSync(target, path);
}

/** What a home knows of its cluster. */
export interface InstalledCluster {
  readonly socket: string;
  /** PEM; undefined before the first start. */
  readonly identity?: {
    readonly certificate: string;
    readonly privateKey: string;
    readonly trustAnchor: string;
  };
  readonly servers: readonly { readonly hostname: string; readonly port: number }[];
}

/** Writes a file of `etc` that is not there yet, or that says `nothing` yet: what somebody has configured stays. */
function keep(path: string, contents: string, nothing?: string, mode = 0o644): boolean {
  const present = readFileIfPresent(path)?.toString('utf8');
  if (present !== undefined && present !== nothing) return false;
  if (present !== contents) writeWholeFile(path, contents, mode);
  return true;
}

const json = (fields: object): string => `${JSON.stringify(fields, null, 2)}\n`;

/** The configuration files of `etc`. */
function configurations({ socket, servers }: Omit<InstalledCluster, 'identity'>): Record<string, string> {
  const hostnames = servers.map(({ hostname }) => hostname);
  const [first] = servers;
  return {
    ...Object.fromEntries(
      (['cli', 'dyn', 'jce'] as const).map((component) => [
        `cloudhsm-${component}.cfg`,
        json(packagedConfig(servers)),
      ]),
    ),
    // The module reads where its engine is; the engine knows its clusters.
    'cloudhsm-pkcs11.cfg': json({ socket }),
    'cloudhsm_client.cfg': json({ ...packagedDaemonConfig(), ...(first && { server: first }) }),
    'cloudhsm_mgmt_util.cfg': json(packagedManagementConfig(hostnames)),
  };
}

/** Lays the tree out below an absolute path. Answers which files of `etc` were left as they were. */
export function layOut(prefix: string, { socket, identity, servers }: InstalledCluster): string[] {
  const at = (...parts: string[]): string => join(prefix, ...parts);
  // What the tools put into new files names the files beside them.
  process.env['CLOUDHSM_LOCAL_PREFIX'] = prefix;
  for (const folder of folders) {
    makeFolder(at(folder), 0o755);
  }
  for (const [name, target] of Object.entries(libraries)) link(join(root, target), at('lib', name));
  link(join(root, HEADERS), at('include', 'pkcs11'));
  for (const program of programs) {
    if (!existsSync(join(root, 'bin', `${program}.mjs`))) continue;
    writeFileSync(at('bin', program), launcher(prefix, program));
    chmodSync(at('bin', program), 0o755);
  }
  const empty: Readonly<Record<string, string>> = configurations({ socket, servers: [] });
  const { trustAnchor, certificate, privateKey } = identity ?? {};
  const kept = Object.entries(configurations({ socket, servers })).filter(
    ([name, contents]) => !keep(at('etc', name), contents, empty[name]),
  );
  const pems: [string, string | undefined, number?][] = [
    ['customerCA.crt', trustAnchor],
    ['client.crt', certificate],
    ['client.key', privateKey, 0o600],
  ];
  const keptPems = pems.filter(
    ([name, pem, mode]) => pem !== undefined && !keep(at('etc', name), pem, undefined, mode),
  );
  return [...kept, ...keptPems].map(([name]) => name);
}
