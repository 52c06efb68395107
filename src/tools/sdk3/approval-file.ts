import { existsSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { limits } from '../../base/limits.js';
import { isKeyService, serviceByNumber } from '../../hsm/quorum/services.js';
import { TOKEN_BYTES } from '../../hsm/quorum/token.js';
import { roleRows } from '../../hsm/roles.js';
import { SIGNATURE_BYTES } from '../../hsm/second-factor.js';
import { canonicalName } from '../../hsm/user-rules.js';
import { refused } from '../failure.js';
import { readGivenFile } from './files.js';

/*
 * What `approveToken` reads (reference management-tools, section 4.5): lines `key = value;`, comments behind `#`.
 *
 *   Multi Token File Path = officer1.token;
 *   Token File Path = ;
 *   Number of Approvals = 2;
 *   Approver Type = 2; # 2 for CO, 1 for CU
 *   Approver Name = officer1;
 *   Approval File = officer1.token.sig1;
 */

/** As the HSM is given it. */
export interface SignedTokens {
  /** The tokens of several HSMs, or of one. */
  readonly approvalData: Buffer;
  readonly approvals: readonly { readonly name: string; readonly signature: Buffer }[];
}

type Entry = readonly [string, string];

function entriesOf(text: string): Entry[] {
  return text.split('\n').flatMap((line, at): Entry[] => {
    const content = line.replace(/#.*/, '').trim();
    if (content === '') return [];
    const [, key, value] = /^([A-Za-z ]+?)\s*=\s*(.*?)\s*;$/.exec(content) ?? [];
    if (key === undefined || value === undefined)
      throw refused(`line ${at + 1} of the approval file is not \`key = value;\``);
    return [[key.toLowerCase(), value]];
  });
}

/** Who approves what the tokens are for: CUs what is done with keys. */
function approversOf(approvalData: Buffer): 'CO' | 'CU' {
  const service =
    approvalData.length < TOKEN_BYTES ? undefined : serviceByNumber(approvalData.readUInt16BE(2));
  return service !== undefined && isKeyService(service) ? 'CU' : 'CO';
}

/** The file, and those that it names. Throws REFUSED, saying what is missing. Paths that are not absolute begin at the working
 * directory, or, if there is no such file there, beside the approval file [ours]. */
export function readApprovalFile(path: string): SignedTokens {
  const entries = entriesOf(readGivenFile(path, limits.configurationBytes).toString('utf8'));
  const take = (key: string): string => {
    const [found, value] = entries.shift() ?? [];
    if (found !== key.toLowerCase() || value === undefined)
      throw refused(`the approval file has no \`${key} = …;\` where one is wanted`);
    return value;
  };
  const several = take('Multi Token File Path');
  const single = take('Token File Path');
  const count = Number(take('Number of Approvals'));
  if (!Number.isInteger(count) || count < 1 || count > limits.approvals)
    throw refused(`Number of Approvals is 1 to ${limits.approvals}`);
  if ((several === '') === (single === ''))
    throw refused('the approval file names one token file: of several HSMs, or of one');
  const approvalData = readGivenFile(found(path, several || single), TOKEN_BYTES * limits.hsmsPerCluster);
  const approvers = approversOf(approvalData);
  const { number } = roleRows[approvers];
  const approvals = Array.from({ length: count }, () => {
    if (take('Approver Type') !== String(number))
      throw refused(`Approver Type is ${number}: ${approvers}s approve what ${approvers}s do`);
    const name = take('Approver Name');
    if (canonicalName(name) === undefined) throw refused('Approver Name is the name of a user');
    return { name, signature: readGivenFile(found(path, take('Approval File')), SIGNATURE_BYTES) };
  });
  if (entries.length > 0) throw refused('the approval file has more approvals than Number of Approvals');
  return { approvalData, approvals };
}

function found(approvalFile: string, file: string): string {
  if (file === '') throw refused('the approval file leaves a path empty');
  return existsSync(file) ? file : resolve(dirname(approvalFile), file);
}
