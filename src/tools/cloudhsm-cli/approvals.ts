import { Failure } from '../../base/errors.js';
import { optional } from '../command-row.js';
import { refused } from '../failure.js';
import type { CliCluster } from './cluster.js';
import { type ApprovalFile, readApproval } from './token-files.js';

/** `--approval F`: "approvals travel with the command, there is no separate approve step" (reference management-tools, 6.7). */
export const approvalOption = {
  approval: optional<string>('APPROVAL', 'Filepath of signed quorum token file to approve operation'),
} as const;

/** Brings the approvals of a file to every HSM, for the command that comes next. */
export async function bringApprovals(cluster: CliCluster, path: string | undefined): Promise<void> {
  if (path !== undefined) await bring(cluster, readApproval(path));
}

/** Does something with keys that files approve. Where one HSM did it, the tokens of the others are deleted: what was approved once is
 * done once. */
export async function withApprovals<T>(
  cluster: CliCluster,
  paths: readonly (string | undefined)[],
  work: () => Promise<T>,
): Promise<T> {
  const files = paths.flatMap((path) => (path === undefined ? [] : [readApproval(path)]));
  for (const file of files) await bring(cluster, file);
  const done = await work();
  for (const { approvalData } of files)
    await cluster.group.each((connection) =>
      connection.send('deleteTokens', { scope: 'these', approvalData }),
    );
  return done;
}

async function bring(cluster: CliCluster, approval: ApprovalFile): Promise<void> {
  try {
    await cluster.sendToAll('Quorum approval', 'approveToken', approval);
  } catch (error) {
    const invalid =
      error instanceof Failure && ['CKR_SIGNATURE_INVALID', 'CKR_ARGUMENTS_BAD'].includes(error.code);
    // "Bad signature, or token reused" (section 6.8).
    if (invalid) throw refused('Invalid username-signature pair for quorum authorization', error);
    throw error;
  }
}
