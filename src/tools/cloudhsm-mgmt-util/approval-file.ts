import { existsSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { limits } from '../../base/limits.js';
import { canonicalName } from '../../hsm/user-rules.js';
import { refused } from '../failure.js';
import { readGivenFile } from '../sdk3/files.js';

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

export interface ApprovalFile {
  /** The token file of several HSMs, or of one. */
  readonly tokenFile: string;
  readonly approvals: readonly { readonly name: string; readonly file: string }[];
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

const CRYPTO_OFFICER = '2';

/** Throws REFUSED, saying what is missing. Paths that are not absolute begin at the working directory, or, if there is no such file
 * there, beside the approval file [ours]. */
export function readApprovalFile(path: string): ApprovalFile {
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
  const approvals = Array.from({ length: count }, () => {
    if (take('Approver Type') !== CRYPTO_OFFICER)
      throw refused('Approver Type is 2: COs approve what COs do');
    const name = take('Approver Name');
    if (canonicalName(name) === undefined) throw refused('Approver Name is the name of a user');
    return { name, file: found(path, take('Approval File')) };
  });
  if (entries.length > 0) throw refused('the approval file has more approvals than Number of Approvals');
  return { tokenFile: found(path, several || single), approvals };
}

function found(approvalFile: string, file: string): string {
  if (file === '') throw refused('the approval file leaves a path empty');
  return existsSync(file) ? file : resolve(dirname(approvalFile), file);
}
