import { expect } from 'chai';
import type { HsmObject } from '../../src/objects/hsm-object.js';
import { canonicalRecord, decodeObject, encodeObject } from '../../src/objects/record.js';
import { MalformedFrame } from '../../src/wire/bytes.js';

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
    expect(canonicalRecord(object)).to.deep.equal(record('02', '07000000'));
  });

  it('is of version 3 with one', () => {
    expect(encodeObject({ ...object, quorum })).to.deep.equal(record('03', '070000000201'));
    expect(decodeObject(record('03', '070000000201'))).to.deep.equal({ ...object, quorum });
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
      record('04', '070000000201'),
      Buffer.concat([record('03', '070000000201'), Buffer.alloc(1)]),
      record('03', '070000000201').subarray(0, 14),
    ];
    for (const bytes of hostile)
      expect(() => decodeObject(bytes), bytes.toString('hex')).to.throw(MalformedFrame);
  });
});
