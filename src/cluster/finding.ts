import { andThen, type Eventually, isPromise, orElse } from '../base/eventually.js';
import type { HsmConnection } from '../hsm/hsm.js';
import type { Template } from '../pkcs11/template.js';
import type { Seats } from './seats.js';

type Handles = readonly number[];
const NONE: Handles = [];

/** Handles that are in one of two lists, which are ascending. Nearly always the first has all of them. */
function union(handles: Handles, more: Handles): Handles {
  let at = 0;
  const isThere = (handle: number): boolean => {
    while (at < handles.length && handles[at]! < handle) at++;
    return handles[at] === handle;
  };
  const missing = more.filter((handle) => !isThere(handle));
  return missing.length === 0 ? handles : [...handles, ...missing].sort((one, other) => one - other);
}

/** An HSM that is lost or busy has nothing to add. */
const foundBy = (connection: HsmConnection, template: Template): Eventually<Handles> =>
  orElse<Handles>(
    () => connection.send('findObjects', { template }),
    () => NONE,
  );

/** HSMs in this process that have the same need not both be asked. */
const hasTheSame = ({ digests }: HsmConnection, other: HsmConnection | undefined): boolean => {
  const own = digests?.();
  return own !== undefined && other?.digests?.()?.equals(own) === true;
};

/**
 * Handles of all objects that match, ascending. "Every find asks all HSMs" (reference section 6): one that has missed a key does not
 * hide it. Session keys are known to the home, which says what is wrong with the template as well.
 */
export function findOnAll(seats: Seats, template: Template, cause?: string): Eventually<Handles> {
  const found = seats.send('findObjects', { template }, cause);
  const { others, lender } = seats;
  const asked = others.filter((connection) => !hasTheSame(connection, lender));
  if (asked.length === 0) return found;
  const more = asked.map((connection) => foundBy(connection, template));
  return andThen(found, (own) => {
    if (!more.some(isPromise)) return (more as Handles[]).reduce(union, own);
    return Promise.all(more).then((lists) => lists.reduce(union, own));
  });
}
