import * as z from 'zod';
import { describeIssues } from '../../base/errors.js';
import { invalidRequest } from '../service/errors.js';
import type { Transaction } from '../state/catalogue.js';
import type { BackupRecord, Realm } from '../state/records.js';
import { backupArn } from '../state/views.js';
import { findBackup } from './finding.js';

/* Resource policies: only backups have them, and two actions can be shared (reference section 5). */

const sharedActions = ['cloudhsm:CreateCluster', 'cloudhsm:DescribeBackups'] as const;
export type SharedAction = (typeof sharedActions)[number];

const oneOrMore = <S extends z.ZodType>(schema: S) =>
  z.union([schema.transform((one) => [one]), z.array(schema).min(1)]);

const statementSchema = z
  .object({
    Sid: z.string().optional(),
    Effect: z.enum(['Allow', 'Deny']),
    Principal: z.union([z.literal('*'), z.object({ AWS: oneOrMore(z.string()) }).strict()]),
    Action: oneOrMore(z.string()),
    Resource: oneOrMore(z.string()),
  })
  .strict();

const policySchema = z
  .object({
    Version: z.enum(['2012-10-17', '2008-10-17']).optional(),
    Id: z.string().optional(),
    Statement: oneOrMore(statementSchema),
  })
  .strict();
type Policy = z.infer<typeof policySchema>;

const principalsOf = (principal: Policy['Statement'][number]['Principal']): readonly string[] =>
  principal === '*' ? ['*'] : principal.AWS;

function parsePolicy(text: string): Policy {
  let fields: unknown;
  try {
    fields = JSON.parse(text);
  } catch {
    throw invalidRequest('The policy is not JSON.');
  }
  const result = policySchema.safeParse(fields);
  if (result.success) return result.data;
  throw invalidRequest(`The policy cannot be used: ${describeIssues(result.error.issues)}`);
}

/** Everybody, an account, or somebody in one: whom IAM takes for a principal in a policy of a resource. */
const PRINCIPAL = /^(\*|[0-9]{12}|arn:aws(-us-gov)?:iam::[0-9]{12}:(root|(user|role)\/[\w+=,.@/-]+))$/;

/** Throws CloudHsmInvalidRequestException for a policy that the backup cannot have. */
export function checkPolicy(text: string, backup: BackupRecord): void {
  for (const { Principal, Action, Resource } of parsePolicy(text).Statement) {
    const wrongPrincipal = principalsOf(Principal).find((principal) => !PRINCIPAL.test(principal));
    if (wrongPrincipal !== undefined)
      throw invalidRequest(`Invalid principal in policy: ${wrongPrincipal} is no account, user or role.`);
    const wrongAction = Action.find((action) => !(sharedActions as readonly string[]).includes(action));
    if (wrongAction !== undefined)
      throw invalidRequest(`A policy shares ${sharedActions.join(' and ')}, not ${wrongAction}.`);
    const wrongResource = Resource.find((resource) => resource !== backupArn(backup) && resource !== '*');
    if (wrongResource !== undefined)
      throw invalidRequest(`The policy is for ${backupArn(backup)}, not for ${wrongResource}.`);
  }
}

const names = (principal: string, account: string): boolean =>
  principal === '*' ||
  principal === account ||
  new RegExp(`^arn:aws(-us-gov)?:iam::${account}:`).test(principal);

/** Whether another account has shared the backup with the caller. Conditions are not looked at: a policy has none. */
export function isSharedWith(backup: BackupRecord, caller: Realm, action: SharedAction): boolean {
  if (backup.policy === undefined || backup.region !== caller.region) return false;
  if (backup.account === caller.account || backup.state !== 'READY') return false;
  const applying = parsePolicy(backup.policy).Statement.filter(({ Principal, Action }) => {
    return (
      Action.includes(action) && principalsOf(Principal).some((principal) => names(principal, caller.account))
    );
  });
  return applying.length > 0 && applying.every(({ Effect }) => Effect === 'Allow');
}

/** The caller's backup that an ARN names. Throws ServiceError. */
export function findShareable(
  tx: Pick<Transaction, 'get'>,
  caller: Realm,
  arn: string | undefined,
): BackupRecord {
  if (arn === undefined) throw invalidRequest('ResourceArn is missing.');
  const [, , , , , resource = ''] = arn.split(':');
  const [kind, id = ''] = resource.split('/');
  if (kind !== 'backup') throw invalidRequest(`Only backups have resource policies: ${arn} is none.`);
  const backup = findBackup(tx, caller, id);
  if (backupArn(backup) !== arn) throw invalidRequest(`${arn} is not in this account and region.`);
  return backup;
}
