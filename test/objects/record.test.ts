import { expect } from 'chai';
import type { HsmObject } from '../../src/objects/hsm-object.js';
import {
  decodeObject,
  encodeObject,
  encodeStored,
  isAsEncoded,
  travellingRecord,
  viewOf,
  visiblePart,
} from '../../src/objects/record.js';
import { storedRows } from '../../src/objects/stored-attributes.js';
import { attributeKind, CKA } from '../../src/pkcs11/attributes.js';
import { attribute } from '../../src/pkcs11/template.js';
import { MalformedFrame } from '../../src/wire/bytes.js';
import { seeded } from '../support/seeded.js';

const object: HsmObject = {
  handle: 0x140,
  version: 7,
  owner: 'alice',
  sharedWith: ['bob'],
  attributes: new Map([[3, Buffer.from('key')]]),
  material: Buffer.from([1, 2]),
};
const quorum = { manage: 2, use: 1 };

/** Put together by hand from docs/STORAGE.md, "Object records"; integers are little-endian. */
const record = (version: string, behindHandle: string): Buffer =>
  Buffer.from(
    [
      version,
      '4001000000000000',
      behindHandle,
      `05${Buffer.from('alice').toString('hex')}03${Buffer.from('bob').toString('hex')}00`,
      `01000000 03000000 03000000${Buffer.from('key').toString('hex')}`,
      '02000000 0102',
    ]
      .join('')
      .replaceAll(' ', ''),
    'hex',
  );

describe('the record of an object', () => {
  it('is of version 2 without a quorum, so that stores and digests from before there were any stay as they are', () => {
    expect(encodeObject(object)).to.deep.equal(record('02', '07000000'));
    expect(decodeObject(record('02', '07000000'))).to.deep.equal(object);
  });

  it('is of version 3 with one', () => {
    expect(encodeObject({ ...object, quorum })).to.deep.equal(record('03', '070000000201'));
    expect(decodeObject(record('03', '070000000201'))).to.deep.equal({ ...object, quorum });
  });

  const marks = {
    attributes: new Map([
      [0x102, 7],
      [3, 2],
    ]),
    users: new Map([
      ['dan', 300],
      ['bob', 3],
    ]),
  };
  /** Marks are numbers and names, in order. */
  const tail = '02 03 02 8202 07 02 03626f62 03 0364616e ac02'.replaceAll(' ', '');

  it('is of version 5 once it was changed, with what was changed when behind the key', () => {
    const changed = { ...object, version: 300, marks };
    const bytes = (quorums: string) =>
      Buffer.concat([record('05', `2c010000${quorums}`), Buffer.from(tail, 'hex')]);
    for (const [quorums, one] of [
      ['0000', changed],
      ['0201', { ...changed, quorum }],
    ] as const) {
      expect(encodeObject(one).toString('hex')).to.equal(bytes(quorums).toString('hex'));
      expect(decodeObject(bytes(quorums))).to.deep.equal(one);
      expect(decodeObject(encodeStored(one))).to.deep.equal(one);
      expect(encodeStored(one)[0]).to.equal(6);
      expect(travellingRecord(encodeStored(one))).to.deep.equal(encodeObject(one));
    }
    // Later than the object itself, none at all, or not all of them.
    const hostile = [bytes('0000').subarray(0, -1), bytes('0900')];
    for (const marksOf of ['0000', tail.replace('ac02', 'ad02'), '8102'])
      hostile.push(Buffer.concat([record('05', '2c0100000000'), Buffer.from(marksOf, 'hex')]));
    for (const wrong of hostile)
      expect(() => decodeObject(wrong), wrong.toString('hex')).to.throw(MalformedFrame);
  });

  it('is the same in whatever order its attributes and its users came: its digest is made of it', () => {
    const pairs = [...Array(9)].map((_, at): [number, Buffer] => [
      2 ** (4 * (at % 8)) + at,
      Buffer.from([at]),
    ]);
    const one = { ...object, sharedWith: ['bob', 'carol'], attributes: new Map(pairs) };
    const other = { ...object, sharedWith: ['carol', 'bob'], attributes: new Map(pairs.toReversed()) };
    expect(encodeObject(one)).to.deep.equal(encodeObject(other));
    expect([...decodeObject(encodeObject(other)).attributes.keys()]).to.deep.equal(
      pairs.map(([type]) => type).sort((a, b) => a - b),
    );
  });

  it('of an earlier build may have another order, and is not what the digest is made of', () => {
    const attributes = new Map([
      [0xa1a1, Buffer.from('one')],
      [0xa2a2, Buffer.from('two')],
    ]);
    const inOrder = encodeObject({ ...object, attributes });
    const inAnother = Buffer.from(inOrder);
    inAnother.writeUInt32LE(0xa2a2, inOrder.indexOf(Buffer.from('a1a10000', 'hex')));
    inAnother.writeUInt32LE(0xa1a1, inOrder.indexOf(Buffer.from('a2a20000', 'hex')));
    expect([inOrder, inAnother].map(isAsEncoded)).to.deep.equal([true, false]);
    expect([record('01', ''), encodeStored(object)].map(isAsEncoded)).to.deep.equal([false, false]);
    expect(isAsEncoded(encodeObject({ ...object, sharedWith: ['bob', 'carol'] }))).to.equal(false);
  });

  it('of version 1 has neither a version of the object nor a quorum', () => {
    expect(decodeObject(record('01', ''))).to.deep.equal({ ...object, version: 1 });
  });

  it('has no quorum that no key can have, no other version and nothing behind it', () => {
    const hostile = [
      record('03', '070000000000'),
      record('03', '070000000900'),
      record('03', '0700000002ff'),
      record('00', '07000000'),
      record('05', '070000000201'),
      Buffer.concat([record('03', '070000000201'), Buffer.alloc(1)]),
      record('03', '070000000201').subarray(0, 14),
    ];
    for (const bytes of hostile)
      expect(() => decodeObject(bytes), bytes.toString('hex')).to.throw(MalformedFrame);
  });

  it('of version 4 is what an HSM stores: rows, flags, numbers and what has no row', () => {
    const attributes = new Map<number, Buffer>();
    const set = (type: number, value: boolean | number | string | Buffer): void =>
      void attributes.set(type, attribute(type, value).value);
    set(CKA.CKA_PRIVATE, true);
    set(CKA.CKA_TOKEN, true);
    set(CKA.CKA_MODIFIABLE, false);
    set(CKA.CKA_KEY_TYPE, 0x1f);
    set(CKA.CKA_VALUE_LEN, 0x100);
    set(CKA.CKA_LABEL, 'key');
    set(CKA.CKA_START_DATE, '');
    set(0x8000_0001, 'x');
    const stored = Buffer.from(
      [
        `04 c002 07 0201 05${Buffer.from('alice').toString('hex')}03${Buffer.from('bob').toString('hex')}00`,
        // Seven bytes of rows: 0, 1 and 2 are flags; 20, 21, 23 and 26 are values.
        `07 0700b004000000 03 1f 03${Buffer.from('key').toString('hex')} 8002 00`,
        '01 8180808008 0178',
        '02 0102',
      ]
        .join('')
        .replaceAll(' ', ''),
      'hex',
    );
    const written = { ...object, quorum, attributes };
    expect(encodeStored(written).toString('hex')).to.equal(stored.toString('hex'));
    expect(decodeObject(stored)).to.deep.equal(written);
    for (let length = 0; length < stored.length; length++)
      expect(() => decodeObject(stored.subarray(0, length)), `${length} bytes`).to.throw(MalformedFrame);
    expect(() => decodeObject(Buffer.concat([stored, Buffer.alloc(1)]))).to.throw(MalformedFrame);
  });

  it('of version 4 keeps its rows for ever: new ones come behind them', () => {
    const forms = storedRows.map(({ type, form }) => `${type.toString(16)}${form[0]}`).join(' ');
    expect(forms).to.equal(
      '1f 2f 170f 172f 171f 163f 103f 162f 165f 164f 104f 105f 106f 107f 108f 10af 10cf 86f 210f 0n 100n 3b 102b 161n 166n 90b 110b 111b 101b ' +
        '180b 181b 120b 121n 122b 129b 109f 10bf 202f 40000211b 40000212b 40000213b 40000600b 8000061dn 11b 81b 82b 80n 87n 10b 12b',
    );
    expect(new Set(storedRows.map(({ type }) => type)).size).to.equal(storedRows.length);
  });

  it('travels as it always did, however it is stored', () => {
    for (const one of [object, { ...object, quorum }]) {
      expect(travellingRecord(encodeStored(one))).to.deep.equal(encodeObject(one));
      expect(travellingRecord(encodeObject(one))).to.deep.equal(encodeObject(one));
    }
  });

  describe('of any object', () => {
    const below = seeded(4);
    const types = [...Object.values(CKA), 0x8000_0000, 0xffff_ffff, 0x1234];
    const anyBytes = (bound: number): Buffer =>
      Buffer.from(Array.from({ length: below(bound) }, () => below(256)));
    const ulong = (): Buffer => {
      const value = Buffer.alloc(8);
      value.writeUInt32LE(below(3) === 0 ? below(2 ** 31) * 2 + below(2) : below(300));
      if (below(4) === 0) value.writeUInt32LE([1, 0x1f_ffff, 0x20_0000, 0xffff_ffff][below(4)]!, 4);
      return value;
    };
    /** Mostly what attributes of that kind have, and now and then what none has. */
    const valueLike = (type: number): Buffer => {
      const kind = below(20) === 0 ? undefined : attributeKind(type);
      if (kind === 'bool') return Buffer.from([below(2)]);
      return kind === 'ulong' ? ulong() : anyBytes(below(10) === 0 ? 3000 : 20);
    };
    const anyObject = (): HsmObject => {
      const attributes = new Map<number, Buffer>();
      for (let left = below(40); left > 0; left--) {
        const type = types[below(types.length)]!;
        attributes.set(type, valueLike(type));
      }
      const made = {
        handle: below(2 ** 31) * 2 ** below(23) + 1,
        version: 1 + below(2 ** 31),
        owner: `user${below(100)}`,
        sharedWith: Array.from({ length: below(4) }, (_, at) => `other${at}#${below(9)}`),
        attributes,
        material: anyBytes(200),
      };
      const version = () => 1 + below(Math.min(made.version, 2 ** 30));
      const marked = {
        attributes: new Map([...attributes.keys()].slice(0, 1 + below(5)).map((type) => [type, version()])),
        users: new Map([...Array(1 + below(5)).keys()].map((at) => [`other${at}`, version()])),
      };
      const one = below(3) === 0 ? { ...made, marks: marked } : made;
      return below(3) === 0 ? { ...one, quorum: { manage: 2, use: below(9) } } : one;
    };

    it('is read as it was written, and has the same digest', () => {
      for (let round = 0; round < 2000; round++) {
        const written = anyObject();
        const stored = decodeObject(encodeStored(written));
        const travelled = decodeObject(encodeObject(written));
        for (const read of [stored, travelled]) {
          expect(encodeObject(read).equals(encodeObject(written)), `round ${round}`).to.equal(true);
          expect(read.sharedWith).to.deep.equal(written.sharedWith);
        }
        if (written.sharedWith.length <= 1 && written.marks === undefined)
          expect(isAsEncoded(encodeObject(written))).to.equal(true);
        expect(encodeStored(stored).equals(encodeStored(written)), `round ${round}`).to.equal(true);
      }
    });

    it('shows a search what it is, and nothing of its key', () => {
      for (let round = 0; round < 1000; round++) {
        const written = { ...anyObject(), material: Buffer.alloc(40, 0xa5) };
        const record = encodeStored(written);
        const visible = visiblePart(record, viewOf(record)!);
        const before = encodeStored({ ...written, marks: undefined });
        expect(visible.length).to.be.equal(before.length - written.material.length - 1);
        const view = viewOf(visible)!;
        expect([view.handle, view.owner, view.sharedWith]).to.deep.equal([
          written.handle,
          written.owner,
          written.sharedWith,
        ]);
        for (const type of types)
          expect(view.attributes.get(type)).to.deep.equal(written.attributes.get(type));
      }
      expect(viewOf(encodeObject(object))).to.equal(undefined);
    });

    it('that was changed on the disk is refused, or another object', () => {
      let refused = 0;
      for (let round = 0; round < 5000; round++) {
        const bytes = encodeStored(anyObject());
        for (let left = 1 + below(3); left > 0; left--) bytes[below(Math.min(bytes.length, 64))] = below(256);
        try {
          const view = viewOf(bytes);
          for (const type of types) view?.attributes.get(type);
          const read = decodeObject(bytes);
          expect(encodeObject(decodeObject(encodeObject(read)))).to.deep.equal(encodeObject(read));
        } catch (error) {
          expect(error).to.be.instanceOf(MalformedFrame);
          refused++;
        }
      }
      expect(refused).to.be.greaterThan(500);
    });
  });
});
