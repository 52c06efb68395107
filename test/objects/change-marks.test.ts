import { createHash } from 'node:crypto';
import { expect } from 'chai';
import { limits } from '../../src/base/limits.js';
import { marked, merged } from '../../src/objects/change-marks.js';
import type { HsmObject } from '../../src/objects/hsm-object.js';
import { decodeObject, encodeObject, encodeStored } from '../../src/objects/record.js';
import { CKA } from '../../src/pkcs11/attributes.js';
import { boolBytes } from '../../src/pkcs11/template.js';
import { seeded } from '../support/seeded.js';

const LAST_VERSION = 0xffff_ffff;
const users = (count: number): string[] => [...Array(count).keys()].map((at) => `user${at}`);

const newKey = (more: Partial<HsmObject> = {}): HsmObject => ({
  handle: 0x140,
  version: 1,
  owner: 'alice',
  sharedWith: [],
  attributes: new Map([
    [CKA.CKA_LABEL, Buffer.from('new')],
    [CKA.CKA_ENCRYPT, boolBytes(true)],
    [CKA.CKA_DECRYPT, boolBytes(true)],
    [CKA.CKA_WRAP, boolBytes(true)],
    [CKA.CKA_EXTRACTABLE, boolBytes(true)],
    [CKA.CKA_MODIFIABLE, boolBytes(true)],
    [CKA.CKA_WRAP_WITH_TRUSTED, boolBytes(false)],
  ]),
  material: Buffer.from('the key'),
  ...more,
});

type Change = (object: HsmObject) => Partial<HsmObject>;
const set =
  (type: number, value: boolean | string): Change =>
  ({ attributes }) => ({
    attributes: new Map(attributes).set(
      type,
      typeof value === 'string' ? Buffer.from(value) : boolBytes(value),
    ),
  });
const share =
  (user: string): Change =>
  ({ sharedWith }) => ({ sharedWith: [...new Set([...sharedWith, user])] });
const unshare =
  (user: string): Change =>
  ({ sharedWith }) => ({ sharedWith: sharedWith.filter((one) => one !== user) });

const next = (object: HsmObject, change: Change): HsmObject => ({
  ...object,
  ...change(object),
  version: object.version + 1,
});
/** As an HSM does it, and as those of earlier builds did. */
const changed = (object: HsmObject, change: Change): HsmObject => marked(object, next(object, change));
const changedAll = (object: HsmObject, all: readonly Change[]): HsmObject => all.reduce(changed, object);

const digest = (object: HsmObject): string => createHash('sha256').update(encodeObject(object)).digest('hex');

function inOrder(one: HsmObject, other: HsmObject): [later: HsmObject, earlier: HsmObject] {
  const isLater = one.version === other.version ? digest(one) > digest(other) : one.version > other.version;
  return isLater ? [one, other] : [other, one];
}

/** What an HSM has that has met with another one; as it is read again where it is stored, and where it travels to. */
function both(one: HsmObject, other: HsmObject): HsmObject {
  const state = merged(...inOrder(one, other));
  expect(digest(decodeObject(encodeObject(state)))).to.equal(digest(state));
  expect(digest(decodeObject(encodeStored(state)))).to.equal(digest(state));
  return state;
}

/** Until nothing changes any more: how many rounds there were. */
function meet(states: HsmObject[]): number {
  for (let rounds = 1; ; rounds++) {
    expect(rounds, 'rounds without an end').to.be.below(12);
    const before = states.map(digest).join();
    for (let at = 0; at < states.length; at++)
      for (const other of states) states[at] = both(states[at]!, other);
    if (states.map(digest).join() === before) return rounds;
  }
}

const flag = ({ attributes }: HsmObject, type: number): number | undefined => attributes.get(type)?.[0];

/** Who goes which way for good. */
const finals: readonly (readonly [number, boolean])[] = [
  [CKA.CKA_EXTRACTABLE, false],
  [CKA.CKA_MODIFIABLE, false],
  [CKA.CKA_WRAP_WITH_TRUSTED, true],
];

describe('changes of a key that HSMs made without knowing of each other', () => {
  /** @param hasEarlier some of it was changed by an earlier build, which has marked nothing */
  function story(seed: number, start: HsmObject, hasEarlier: boolean): void {
    const below = seeded(seed);
    const states = [...Array(2 + below(3))].map(() => start);
    const own = [CKA.CKA_ENCRYPT, CKA.CKA_DECRYPT, CKA.CKA_WRAP];
    const reached = new Set<number>();
    const last = new Map<number, number>();
    const lastShared = new Map<number, boolean>();
    for (let steps = 0; steps < 25; steps++) {
      const at = below(states.length);
      const state = states[at]!;
      const isEarlier = hasEarlier && state.marks === undefined && below(2) === 0;
      const doIt = (change: Change): void => {
        if (state.version < LAST_VERSION)
          states[at] = isEarlier ? next(state, change) : changed(state, change);
      };
      const canBe = state.version < LAST_VERSION && !isEarlier;
      switch (below(6)) {
        case 0:
          states[at] = both(state, states[below(states.length)]!);
          break;
        case 1:
          doIt(set(CKA.CKA_LABEL, `${seed} ${steps}`));
          break;
        case 2: {
          const [type, value] = finals[below(finals.length)]!;
          doIt(set(type, value));
          // Of what an earlier build has done, all may be lost but what another HSM hears of.
          if (canBe) reached.add(type);
          break;
        }
        case 3: {
          const value = below(2);
          if (own[at] !== undefined && canBe) {
            doIt(set(own[at]!, value === 1));
            last.set(own[at]!, value);
          }
          break;
        }
        case 4: {
          const isShare = below(2) === 1;
          if (canBe) {
            doIt((isShare ? share : unshare)(`user${at}`));
            lastShared.set(at, isShare);
          }
          break;
        }
        case 5:
          doIt((below(2) ? share : unshare)('everybody'));
          break;
      }
    }
    const unsafe = finals.filter(([type, value]) => states.some((one) => flag(one, type) === Number(value)));
    meet(states);
    const [one] = states as [HsmObject];
    for (const state of states) expect(digest(state), `seed ${seed}`).to.equal(digest(one));
    for (const [type, value] of unsafe) expect(flag(one, type), `seed ${seed}`).to.equal(Number(value));
    expect([...reached].filter((type) => !unsafe.some(([other]) => other === type))).to.deep.equal([]);
    // What only one HSM has changed is as that one had it last.
    if (hasEarlier) return;
    for (const [type, value] of last) expect(flag(one, type), `seed ${seed}`).to.equal(value);
    for (const [at, isShared] of lastShared)
      expect(one.sharedWith.includes(`user${at}`), `seed ${seed}`).to.equal(isShared);
  }

  it('come together on all of them, whoever meets whom first, and none is lost that only one has made', () => {
    for (let seed = 0; seed < 400; seed++) story(seed, newKey(), false);
  });

  it('come together with those of earlier builds, which say nothing of them', () => {
    for (let seed = 0; seed < 400; seed++) story(seed, newKey(), true);
  });

  it('come together where versions end', () => {
    for (let seed = 0; seed < 200; seed++)
      story(seed, newKey({ version: LAST_VERSION - 1 - (seed % 8) }), true);
  });

  it('come together of more users than are remembered', () => {
    for (let seed = 0; seed < 4; seed++) {
      const below = seeded(seed);
      const all = users(limits.markedUsers + 40);
      const states = [...Array(3)].map((_, at) =>
        changedAll(
          newKey(),
          all
            .slice(at * 20, all.length - (2 - at) * 20)
            .flatMap((user) => (below(3) === 0 ? [share(user), unshare(user)] : [share(user)])),
        ),
      );
      meet(states);
      for (const state of states) expect(digest(state)).to.equal(digest(states[0]!));
      expect(states[0]!.marks!.users.size).to.equal(limits.markedUsers);
    }
  });

  it('share a key with nobody again from whom it was taken, however long ago', () => {
    const shared = changed(newKey(), share('dan'));
    const taken = changedAll(shared, [unshare('dan'), ...users(limits.markedUsers).map(share)]);
    expect(taken.marks!.users.has('dan')).to.equal(false);
    const old = changed(shared, set(CKA.CKA_LABEL, 'other'));
    const together = both(taken, old);
    expect(together.sharedWith).to.not.include('dan');
    expect(together.attributes.get(CKA.CKA_LABEL)!.toString()).to.equal('other');
    // And the other way round: who took it has been told so.
    const still = changedAll(shared, users(limits.markedUsers).map(share));
    expect(still.sharedWith).to.include('dan');
    expect(both(still, changed(shared, unshare('dan'))).sharedWith).to.not.include('dan');
  });

  it('never take a value back that is final, also if an earlier build has set it', () => {
    for (const [type, value] of finals) {
      const unmarked = next(newKey(), set(type, value));
      const later = changedAll(newKey(), [set(CKA.CKA_LABEL, 'a'), set(CKA.CKA_LABEL, 'b')]);
      const together = both(unmarked, later);
      expect(flag(together, type)).to.equal(Number(value));
      expect(together.attributes.get(CKA.CKA_LABEL)!.toString()).to.equal('b');
      expect(together.version).to.equal(later.version + 1);
    }
  });

  it('leave a key with a quorum as many users as it needs', () => {
    const key = newKey({ quorum: { manage: 2, use: 0 }, sharedWith: ['bob', 'dan'] });
    const one = changed(key, unshare('bob'));
    const other = changed(key, unshare('dan'));
    const states = [one, other];
    meet(states);
    expect(digest(states[0]!)).to.equal(digest(states[1]!));
    expect(states[0]!.sharedWith).to.deep.equal(inOrder(one, other)[0].sharedWith);
  });

  it('share a key with no more users than there can be', () => {
    const most =
      (from: string): Change =>
      () => ({
        sharedWith: [...Array(limits.usersPerHsm - 10).keys()].map((at) => `${from}${at}`),
      });
    const states = [changed(newKey(), most('a')), changed(newKey(), most('b'))];
    meet(states);
    expect(digest(states[0]!)).to.equal(digest(states[1]!));
    expect(states[0]!.sharedWith.length).to.be.at.most(limits.usersPerHsm);
  });

  it('are looked at of one and the same key only', () => {
    const later = changedAll(newKey(), [set(CKA.CKA_LABEL, 'a'), set(CKA.CKA_LABEL, 'b')]);
    const earlier = changed(newKey(), set(CKA.CKA_ENCRYPT, false));
    expect(merged(later, earlier)).to.not.equal(later);
    for (const another of [{ material: Buffer.from('another') }, { handle: 0x180 }, { owner: 'bob' }])
      expect(merged(later, { ...earlier, ...another })).to.equal(later);
  });

  it('are of attributes that can be changed, whatever marks say', () => {
    const later = changedAll(newKey(), [set(CKA.CKA_LABEL, 'a'), set(CKA.CKA_LABEL, 'b')]);
    const { attributes } = newKey();
    for (const type of [
      CKA.CKA_CLASS,
      CKA.CKA_KEY_TYPE,
      CKA.CKA_TOKEN,
      CKA.CKA_PRIVATE,
      CKA.CKA_VALUE_LEN,
      7,
    ]) {
      const marks = { attributes: new Map([[type, 2]]), users: new Map<string, number>() };
      const earlier = newKey({
        version: 2,
        marks,
        attributes: new Map(attributes).set(type, boolBytes(true)),
      });
      expect(merged(later, earlier)).to.equal(later);
    }
  });

  it('are none where both HSMs did the same', () => {
    const one = changedAll(newKey(), [set(CKA.CKA_LABEL, 'a'), share('bob')]);
    const other = changedAll(newKey(), [set(CKA.CKA_LABEL, 'a'), share('bob')]);
    expect(digest(one)).to.equal(digest(other));
    expect(both(one, other).version).to.equal(3);
    expect(merged(one, newKey())).to.equal(one);
  });
});
