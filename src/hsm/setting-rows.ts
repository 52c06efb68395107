/**
 * THE row per setting that an HSM's store has: whether it belongs to the content, which backups carry from HSM to HSM, or
 * to this one HSM.
 */
export const settingRows = {
  /** Its presence says that the HSM has been provisioned. */
  'masking-key': { isContent: true },
  'users-next-id': { isContent: true },
  'quorum-values': { isContent: true },
  'token-timeouts': { isContent: true },
  /** Whoever restores it begins behind it (backup/restore.ts). */
  'handles-reserved': { isContent: true },
  /** An HSM that joins enforces what the others do. */
  'mutual-tls': { isContent: true },
  'audit-head': { isContent: false },
  'object-summary': { isContent: false },
  /** The key pair that the cluster's certificate is for, and that certificate with its trust anchor: one for all HSMs and clones. */
  'cluster-key': { isContent: true },
  'cluster-trust': { isContent: true },
  'device-certificates': { isContent: false },
  /** What the HSM shows of itself until its cluster is initialised. */
  'hsm-identity': { isContent: false },
} as const satisfies Record<string, { isContent: boolean }>;

export type SettingName = keyof typeof settingRows;

export const settingKey = (name: SettingName): Buffer => Buffer.from(name);

export function isSettingName(name: string): name is SettingName {
  return Object.hasOwn(settingRows, name);
}
