import { invalidRequest } from '../service/errors.js';
import type { Operation } from '../state/context.js';
import { requireState } from './finding.js';
import { checkPolicy, findShareable } from './sharing.js';

export const putResourcePolicy: Operation<'PutResourcePolicy'> = (input, caller, { catalogue }) =>
  catalogue.transaction((tx) => {
    const { ResourceArn, Policy: policy } = input;
    const backup = findShareable(tx, caller, ResourceArn);
    if (policy === undefined) throw invalidRequest('Policy is missing.');
    requireState('Backup', backup, 'READY');
    checkPolicy(policy, backup);
    tx.put('backup', { ...backup, policy });
    return { ResourceArn, Policy: policy };
  });
