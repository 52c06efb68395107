import { type HsmType, hsmTypes } from '../../base/cluster-kind.js';
import { invalidRequest } from '../service/errors.js';

/** A type that there is: the shape's pattern says only what one looks like. */
export function checkHsmType(asked: string): HsmType {
  const found = hsmTypes.find((hsmType) => hsmType === asked);
  if (found === undefined) throw invalidRequest(`HsmType ${asked} is none: use ${hsmTypes.join(' or ')}.`);
  return found;
}
