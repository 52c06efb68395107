import type { HsmObject } from '../objects/hsm-object.js';
import { kindOf } from '../objects/hsm-object.js';
import type { User } from './users.js';

/*
 * Who may do what with an object (reference section 7):
 *
 *                     | find, read, use | change, delete
 *   ------------------+-----------------+---------------
 *   its owner         |       yes       |      yes
 *   shared with them  |       yes       |      no
 *   certificates      |   every CU      |  their owner
 *   everybody else    | it is not there |
 *
 * A CO has no keys and sees none.
 */

export function maySee(user: User, object: HsmObject): boolean {
  if (user.role !== 'CU') return false;
  return (
    object.owner === user.name || object.sharedWith.includes(user.name) || kindOf(object) === 'certificate'
  );
}

export function mayChange(user: User, object: HsmObject): boolean {
  return user.role === 'CU' && object.owner === user.name;
}
