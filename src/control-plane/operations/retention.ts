import { invalidRequest } from '../service/errors.js';
import type { Input } from '../service/operations.js';

/** How long the cluster's backups are to be kept; undefined where the request does not say. A policy that says nothing is none [guess]. */
export function daysOf(policy: Input<'ModifyCluster'>['BackupRetentionPolicy']): number | undefined {
  if (policy === undefined) return undefined;
  if (policy.Value === undefined)
    throw invalidRequest('BackupRetentionPolicy must say for how many days: Value is missing.');
  return Number(policy.Value);
}
