import type { Operation } from '../state/context.js';
import { findShareable } from './sharing.js';

export const getResourcePolicy: Operation<'GetResourcePolicy'> = async (input, caller, { catalogue }) => ({
  Policy: findShareable(catalogue, caller, input.ResourceArn).policy,
});
