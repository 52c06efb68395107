/*
 * Whose a key is. Names are not enough: a user may be deleted and made again, for somebody else, while an HSM is away that has
 * keys of the former one. So users of one name are counted, in _generations_, from 0, and keys say which of them they belong to.
 *
 * An HSM keeps how many crypto users of a name it has deleted, and a new one is of that generation; the tools ask all HSMs, and say the
 * highest when they create a user. So users that were created on each HSM by itself are the same user to all of them, and their keys
 * travel; those of a former user stay where they are. [guess]: how CloudHSM tells them apart is not known.
 */

/** What keys call a user. Generation 0 is the bare name, as it was before there were generations; no name has a `#`. */
export function identityOf(name: string, generation = 0): string {
  return generation === 0 ? name : `${name}#${generation}`;
}

/** The name in an identity. */
export function nameOf(identity: string): string {
  const end = identity.indexOf('#');
  return end < 0 ? identity : identity.slice(0, end);
}
