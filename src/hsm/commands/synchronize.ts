import { ckr } from '../../pkcs11/ckr.js';
import type { ObjectVersion } from '../object-versions.js';
import type { Command } from './command.js';

/* What HSMs of a cluster ask each other, and how a client makes one catch up. */

/** Digests of what the HSM has, bucket by bucket: equal on HSMs that have the same. */
export const objectDigests: Command<void, Buffer> = {
  login: 'AU',
  run: (session) => session.hsm.objects.versions.digests(),
};

/** The versions of all objects in some buckets, those that were destroyed included. */
export const objectVersions: Command<{ buckets: readonly number[] }, readonly ObjectVersion[]> = {
  login: 'AU',
  run: (session, { buckets }) => session.hsm.objects.versions.entries(buckets),
};

/** A token object, masked, for another HSM of the cluster or of a clone: any, or as a CU one's own. CKR_OBJECT_HANDLE_INVALID,
 * CKR_ACTION_PROHIBITED. */
export const extractMaskedObject: Command<{ handle: number }, Buffer> = {
  login: 'maskedObjects',
  run: (session, { handle }) => {
    const { hsm, user } = session;
    if (user.role === 'CU') session.changeableObject(handle);
    const loaded = hsm.objects.get(handle);
    if (loaded === undefined) throw ckr('CKR_OBJECT_HANDLE_INVALID', `there is no token object ${handle}`);
    return hsm.maskingKey.mask(loaded.object);
  },
};

/** Answered when the HSM has caught up with those of its cluster that it can reach: a client asks before it relies on an
 * HSM that was away. */
export const synchronize: Command<void, void> = {
  login: 'none',
  run: ({ hsm }) => hsm.synchronize(),
};
