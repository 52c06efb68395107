import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import type { BackupKeyFiles } from '../backup/keys.js';

/** Where an engine keeps everything. Two homes know nothing of each other. */
export interface Home {
  readonly directory: string;
  /** Where modules connect. */
  readonly engineSocket: string;
  /** Where the other commands ask. */
  readonly controlSocket: string;
  /** Locked while an engine runs. */
  readonly lockFile: string;
  /** Of whoever changes which HSMs there are. */
  readonly membershipLockFile: string;
  readonly logFile: string;
  readonly credentialsFile: string;
  /** The library's log, of applications whose cloudhsm-pkcs11.cfg names no other file. */
  readonly libraryLogFile: string;
  /** cloudhsm-pkcs11.cfg, for applications that name none. */
  readonly clientConfigFile: string;
  readonly clusterFile: string;
  readonly backupKeyFiles: BackupKeyFiles;
  /** customerCA.crt, and a pair of each HSM and of a client. */
  readonly certificatesDirectory: string;
  /** What runs: sockets and locks. */
  readonly runDirectory: string;
  /** What programs did that CloudHSM refuses. */
  readonly readinessFile: string;
  readonly hsmsDirectory: string;
  /** Where the HSMs of a new cluster are made, until all of them are there. */
  readonly newHsmsDirectory: string;
  /** What HSMs had that have left the cluster. */
  readonly removedHsmsDirectory: string;
  /** What HSMs have kept that have failed and were replaced. */
  readonly failedHsmsDirectory: string;
  /** The control plane's catalogue, and where it listens. */
  readonly controlPlaneDirectory: string;
  /** What the default cluster is made of, and how far that has come. */
  readonly defaultClusterFile: string;
  /** Private keys of the emulated roots. */
  readonly rootsFile: string;
  readonly backupsDirectory: string;
  /** Keys of the archive: not beside the backups. */
  readonly archiveKeysDirectory: string;
}

/** Where CloudHSM's package keeps it (reference section 1). */
export const SYSTEM_CLIENT_CONFIG = '/opt/cloudhsm/etc/cloudhsm-pkcs11.cfg';

/** `--home`, else $CLOUDHSM_LOCAL_HOME, else the XDG state folder. */
export function findHome(option: string | undefined, env: NodeJS.ProcessEnv = process.env): Home {
  const stateFolder = env['XDG_STATE_HOME'] || join(homedir(), '.local', 'state');
  const directory = resolve(option || env['CLOUDHSM_LOCAL_HOME'] || join(stateFolder, 'cloudhsm-local'));
  return {
    directory,
    engineSocket: join(directory, 'run', 'engine.sock'),
    controlSocket: join(directory, 'run', 'control.sock'),
    lockFile: join(directory, 'run', 'engine.lock'),
    membershipLockFile: join(directory, 'run', 'membership.lock'),
    logFile: join(directory, 'logs', 'engine.log'),
    credentialsFile: join(directory, 'credentials.json'),
    libraryLogFile: join(directory, 'run', 'cloudhsm-pkcs11.log'),
    clientConfigFile: join(directory, 'cloudhsm-pkcs11.cfg'),
    clusterFile: join(directory, 'cluster.json'),
    backupKeyFiles: {
      manufacturer: join(directory, 'device', 'mkbk.json'),
      installation: join(directory, 'akbk.json'),
    },
    certificatesDirectory: join(directory, 'certificates'),
    runDirectory: join(directory, 'run'),
    readinessFile: join(directory, 'readiness.json'),
    hsmsDirectory: join(directory, 'hsms'),
    newHsmsDirectory: join(directory, 'hsms.new'),
    removedHsmsDirectory: join(directory, 'hsms.removed'),
    failedHsmsDirectory: join(directory, 'hsms.failed'),
    controlPlaneDirectory: join(directory, 'control-plane'),
    defaultClusterFile: join(directory, 'control-plane', 'default-cluster.json'),
    rootsFile: join(directory, 'device', 'roots.json'),
    backupsDirectory: join(directory, 'backups'),
    archiveKeysDirectory: join(directory, 'kms'),
  };
}
