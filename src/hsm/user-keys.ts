import { setImmediate as otherWork } from 'node:timers/promises';
import { ckr } from '../pkcs11/ckr.js';
import type { TokenObjects } from './token-objects.js';
import type { User } from './user-records.js';

/** Objects looked at before others get their turn. */
const AT_A_TIME = 256;

/**
 * Lets a user go who gets no new keys any more: refuses while there are objects of theirs ("deleting a CU that owns keys is
 * refused", reference management-tools, section 1.3), then takes the user off the share lists, so that a later user of the
 * name finds nothing. Throws CKR_ACTION_PROHIBITED.
 */
export async function releaseKeysOf(user: User, objects: TokenObjects): Promise<void> {
  await objects.idle();
  const handles = [...objects.candidates([])];
  const shared: number[] = [];
  for (const [at, handle] of handles.entries()) {
    if (at % AT_A_TIME === AT_A_TIME - 1) await otherWork();
    const object = objects.get(handle)?.object;
    if (object?.owner === user.identity)
      throw ckr('CKR_ACTION_PROHIBITED', `${user.name} owns key ${handle}, maybe more: delete them first`);
    if (object?.sharedWith.includes(user.identity)) shared.push(handle);
  }
  for (const handle of shared) {
    await objects
      .change(handle, ({ sharedWith }) => ({ sharedWith: sharedWith.filter((one) => one !== user.identity) }))
      .catch((error: unknown) => {
        // Destroyed meanwhile.
        if (objects.get(handle) !== undefined) throw error;
      });
  }
}
