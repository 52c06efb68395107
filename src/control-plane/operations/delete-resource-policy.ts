import type { Operation } from '../state/context.js';
import { findShareable } from './sharing.js';

/** Answers the policy that was. Clusters that were made with its help stay. */
export const deleteResourcePolicy: Operation<'DeleteResourcePolicy'> = (input, caller, { catalogue }) =>
  catalogue.transaction((tx) => {
    const { policy, ...rest } = findShareable(tx, caller, input.ResourceArn);
    tx.put('backup', rest);
    return { ResourceArn: input.ResourceArn, Policy: policy };
  });
