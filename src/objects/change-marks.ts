import { limits } from '../base/limits.js';
import { boolBytes } from '../pkcs11/template.js';
import { MalformedFrame, type Reader, type Writer } from '../wire/bytes.js';
import { changeableAttributes, finalValues } from './change.js';
import type { HsmObject } from './hsm-object.js';
import { hasEnoughUsers } from './key-quorum.js';
import type { Attributes } from './template-validator.js';

/**
 * What has been changed of an object since it was made, and at which of its versions that was last: so changes that HSMs made without
 * knowing of each other come together. Of the same attribute, or the same user, the one with the greater version stays.
 *
 * It needs no clock: who changes something has seen all that the version stands for, and marks it with the next one.
 */
export interface ChangeMarks {
  readonly attributes: ReadonlyMap<number, number>;
  /** Those as well with whom it is shared no longer. */
  readonly users: ReadonlyMap<string, number>;
}

/** A version is 32 bits of a record. */
const LAST_VERSION = 0xffff_ffff;

const isSame = (one: Buffer | undefined, other: Buffer | undefined): boolean =>
  one === undefined ? other === undefined : other !== undefined && one.equals(other);

function changedTypes(before: HsmObject, after: HsmObject): number[] {
  const types = new Set([...before.attributes.keys(), ...after.attributes.keys()]);
  return [...types].filter((type) => !isSame(before.attributes.get(type), after.attributes.get(type)));
}

function changedUsers(before: HsmObject, after: HsmObject): string[] {
  const [had, have] = [new Set(before.sharedWith), new Set(after.sharedWith)];
  return [...new Set([...had, ...have])].filter((user) => had.has(user) !== have.has(user));
}

/** The latest of them, as there is no end of users that are made and deleted. */
function latest(users: ReadonlyMap<string, number>): ReadonlyMap<string, number> {
  if (users.size <= limits.markedUsers) return users;
  const inOrder = [...users].sort(([a, one], [b, other]) => other - one || (a < b ? -1 : 1));
  return new Map(inOrder.slice(0, limits.markedUsers));
}

/** Marks up to this version may have been there, and make no difference any more. */
function forgottenUpTo({ marks }: HsmObject): number {
  return marks === undefined || marks.users.size < limits.markedUsers ? 0 : Math.min(...marks.users.values());
}

/** What an object has become, with marks of its version on what differs from before. */
export function marked(before: HsmObject, after: HsmObject): HsmObject {
  const [types, users] = [changedTypes(before, after), changedUsers(before, after)];
  if (types.length === 0 && users.length === 0) return after;
  const mark = <T>(of: T): [T, number] => [of, after.version];
  const marks: ChangeMarks = {
    attributes: new Map([...(before.marks?.attributes ?? []), ...types.map(mark)]),
    users: latest(new Map([...(before.marks?.users ?? []), ...users.map(mark)])),
  };
  return { ...after, marks };
}

function marksAbove<T>(
  marks: ReadonlyMap<T, number> | undefined,
  known: ReadonlyMap<T, number> | undefined,
): [T, number][] {
  return [...(marks ?? [])].filter(([of, version]) => version > (known?.get(of) ?? 0));
}

/** Attributes of the later state with what was changed in the earlier one; the same map if that was nothing. */
function mergedAttributes(
  later: HsmObject,
  earlier: HsmObject,
  types: readonly [number, number][],
): Attributes {
  const changed: Attributes = new Map();
  for (const [type] of types) {
    const value = earlier.attributes.get(type);
    if (value !== undefined) changed.set(type, value);
  }
  // Whoever has marked what since: an earlier build has marked nothing.
  for (const [type, value] of finalValues) {
    const isFinal = ({ attributes }: HsmObject): boolean => attributes.get(type)?.[0] === Number(value);
    if (isFinal(earlier) || isFinal(later)) changed.set(type, boolBytes(value));
  }
  const isNews = ([type, value]: [number, Buffer]): boolean => !isSame(later.attributes.get(type), value);
  return [...changed].some(isNews) ? new Map([...later.attributes, ...changed]) : later.attributes;
}

/** So many users are too many, or too few for the key to be ever used again. */
function canBeSharedWith(users: readonly string[], { quorum }: HsmObject): boolean {
  if (users.length > limits.usersPerHsm) return false;
  return quorum === undefined || hasEnoughUsers(quorum, 1 + users.length);
}

/** With whom the later state is shared when what was changed in the earlier one is done as well; the same list if that was nothing. */
function mergedUsers(
  later: HsmObject,
  earlier: HsmObject,
  users: readonly [string, number][],
): readonly string[] {
  const shared = new Set(later.sharedWith);
  const forgotten = forgottenUpTo(later);
  for (const [user, version] of users) {
    if (!earlier.sharedWith.includes(user)) shared.delete(user);
    // Otherwise it may be shared no longer since then.
    else if (version > forgotten || later.marks!.users.has(user)) shared.add(user);
  }
  const next = [...shared].sort();
  const isNews = next.join() !== [...later.sharedWith].sort().join();
  return isNews && canBeSharedWith(next, later) ? next : later.sharedWith;
}

/** The later marks with those of an earlier state that are above them; the same if none are. */
function mergedMarks(
  later: ChangeMarks | undefined,
  types: readonly [number, number][],
  users: readonly [string, number][],
): ChangeMarks | undefined {
  const all = latest(new Map([...(later?.users ?? []), ...users]));
  if (types.length === 0 && users.every(([user, version]) => all.get(user) !== version)) return later;
  return { attributes: new Map([...(later?.attributes ?? []), ...types]), users: all };
}

/** Both are states of one key. */
const isSameKey = (one: HsmObject, other: HsmObject): boolean =>
  one.handle === other.handle && one.owner === other.owner && one.material.equals(other.material);

/**
 * An object with the changes that only another HSM's `earlier` state of it has; the same one if there are none. Equal for all HSMs that have
 * these two; and HSMs that go on to tell each other come to have the same: marks only become greater, and of states with the same marks
 * the latest stays.
 *
 * @param later the one that would stay if only one could; its key is the new object's as well
 */
export function merged(later: HsmObject, earlier: HsmObject): HsmObject {
  if (!isSameKey(later, earlier)) return later;
  const above = marksAbove(earlier.marks?.attributes, later.marks?.attributes);
  const types = above.filter(([type]) => changeableAttributes.has(type));
  const users = marksAbove(earlier.marks?.users, later.marks?.users);
  const marks = mergedMarks(later.marks, types, users);
  const attributes = mergedAttributes(later, earlier, types);
  const sharedWith = mergedUsers(later, earlier, users);
  if (marks === later.marks && attributes === later.attributes && sharedWith === later.sharedWith)
    return later;
  const version = Math.min(later.version + 1, LAST_VERSION);
  return { ...later, version, attributes, sharedWith, ...(marks && { marks }) };
}

/** The same bytes for the same marks. */
export function writeMarks(writer: Writer, { attributes, users }: ChangeMarks): void {
  writer.varint(attributes.size);
  for (const [type, version] of [...attributes].sort(([one], [other]) => one - other)) {
    writer.varint(type);
    writer.varint(version);
  }
  writer.varint(users.size);
  for (const user of [...users.keys()].sort()) {
    const name = Buffer.from(user);
    writer.u8(name.length);
    writer.bytes(name);
    writer.varint(users.get(user)!);
  }
}

/** @param upTo the object's version: nothing was changed after it */
export function readMarks(reader: Reader, upTo: number): ChangeMarks {
  const attributes = new Map<number, number>();
  for (let left = reader.varint(limits.templateAttributes, 'marks of attributes'); left > 0; left--) {
    const type = reader.varint(0xffff_ffff, 'as an attribute');
    attributes.set(type, reader.varint(upTo, 'as a mark'));
  }
  const users = new Map<string, number>();
  for (let left = reader.varint(limits.markedUsers, 'marks of users'); left > 0; left--) {
    const name = reader.text(reader.u8(), 'utf8');
    users.set(name, reader.varint(upTo, 'as a mark'));
  }
  if (attributes.size === 0 && users.size === 0) throw new MalformedFrame('marks without any');
  return { attributes, users };
}
