import type { Clock } from '../../src/base/clock.js';
import type { ClusterMode, HsmType } from '../../src/base/cluster-kind.js';
import { silentLog } from '../../src/base/log.js';
import { Applications } from '../../src/bridge/applications.js';
import { InProcessChannel } from '../../src/bridge/in-process.js';
import { Cluster } from '../../src/cluster/cluster.js';
import { slotsFor } from '../../src/cryptoki/library.js';
import { silentLibraryLog } from '../../src/cryptoki/library-log.js';
import { ReadinessRecord } from '../../src/cryptoki/readiness.js';
import { Hsm, type HsmConnection } from '../../src/hsm/hsm.js';
import { newMaskingKey } from '../../src/hsm/masking.js';
import { type Quota, quotaOf } from '../../src/hsm/quotas.js';
import type { Role } from '../../src/hsm/roles.js';
import { FIRST_PASSWORD, hashNewPassword } from '../../src/hsm/user-rules.js';
import { certificateSwitch } from '../../src/objects/certificates.js';
import type { Profile } from '../../src/objects/deviations.js';
import { openMemoryStore } from '../../src/store/memory-store.js';

/** The users of every cluster made here, all with the same password. */
export const PASSWORD = 'correct horse battery';
let passwordHashed: Promise<string> | undefined;
const userRoles: readonly [string, Role][] = [
  ['admin', 'CO'],
  ['crypto_user', 'CU'],
  ['other_user', 'CU'],
];

export interface ClusterOptions {
  readonly id?: string;
  readonly hsms?: number;
  readonly hsmType?: HsmType;
  readonly mode?: ClusterMode;
  readonly profile?: Profile;
  readonly keyQuota?: number;
  readonly quota?: Quota;
  readonly certificateStorage?: boolean;
  readonly ecdhWithoutKdf?: boolean;
  /** false: its admin has the first password still. */
  readonly activated?: boolean;
  readonly commandsPerSecond?: number;
  readonly clock?: Clock;
  /** A clone has its original's. */
  readonly maskingKey?: Buffer;
}

/** A connection to one HSM, with somebody logged in. */
export async function loggedIn(
  hsm: Hsm,
  name: string,
  role: Role,
  password = PASSWORD,
): Promise<HsmConnection> {
  const connection = hsm.connect();
  await connection.send('login', { name, password, role });
  return connection;
}

/** A cluster in this process that keeps everything in memory. */
export async function memoryCluster({
  id = 'cluster-in-memory',
  hsms = 2,
  hsmType = 'hsm2m.medium',
  mode = 'FIPS',
  profile = 'compatible',
  keyQuota,
  quota = quotaOf(hsmType, keyQuota),
  certificateStorage,
  ecdhWithoutKdf = false,
  activated = true,
  commandsPerSecond,
  clock,
  maskingKey = newMaskingKey(),
}: ClusterOptions = {}): Promise<Cluster> {
  passwordHashed ??= hashNewPassword(PASSWORD);
  const passwordHash = await passwordHashed;
  const users = activated
    ? userRoles.map(([name, role]) => ({ name, role, passwordHash }))
    : [{ name: 'admin', role: 'PRECO' as const, passwordHash: await hashNewPassword(FIRST_PASSWORD) }];
  const members: Hsm[] = [];
  for (let ordinal = 1; ordinal <= hsms; ordinal++) {
    const store = openMemoryStore();
    await Hsm.provision(store, { maskingKey: Buffer.from(maskingKey), users });
    const settings = {
      id: `hsm-${ordinal}`,
      ordinal,
      hsmType,
      mode,
      profile,
      quota,
      ecdhWithoutKdf,
      commandsPerSecond,
      certificateStorage: certificateSwitch(hsmType, certificateStorage),
    };
    members.push(await Hsm.open(store, settings, silentLog, clock));
  }
  return new Cluster({ id, hsmType, mode }, members);
}

/** The applications of an engine without sockets, on a cluster in memory. */
export async function memoryEngine(
  options: ClusterOptions = {},
): Promise<{ applications: Applications; cluster: Cluster; readiness: ReadinessRecord }> {
  const cluster = await memoryCluster(options);
  const readiness = new ReadinessRecord(silentLog);
  const offer = { clusters: [cluster], profile: options.profile ?? 'compatible', readiness };
  const applications = new Applications(() => ({
    slots: slotsFor(offer, undefined),
    log: silentLibraryLog,
    readiness,
  }));
  return { applications, cluster, readiness };
}

export function openChannel(applications: Applications): InProcessChannel {
  return new InProcessChannel(applications, silentLog);
}
