import { expect } from 'chai';
import { BehaviourClient, useClient } from './client.js';

describe('what programs do to the module', function () {
  this.timeout(300_000);

  let client: BehaviourClient;

  useClient((started) => {
    client = started;
  });

  describe('objects', () => {
    it('an attribute that cannot be read has length -1, the others are filled in (row 9)', async () => {
      expect(await client.play('attributes')).to.deep.equal([
        "unsupported, sizes 0x12: 5 '', -1 untouched, 8 ''",
        "unsupported, values 0x12: 5 'label', -1 untouched, 8 'identity'",
        "not of its kind 0x12: 5 'label', -1 untouched, 8 'identity'",
        "unknown 0x12: 5 'label', -1 untouched, 8 'identity'",
        "sensitive, sizes 0x11: 5 '', -1 untouched, 8 ''",
        "sensitive, values 0x11: 5 'label', -1 untouched, 8 'identity'",
        "label too small 0x150: -1 '', 3 written, 8 'identity'",
        "label too small by all 0x150: -1 '', 3 written, 8 'identity'",
        "check value too small 0x150: 5 'label', -1 untouched, 8 'identity'",
        "fine 0x0: 5 'label', 3 written, 8 'identity'",
        "private exponent 0x11: 5 'label', -1 untouched, 0 ''",
        'bool in 8 bytes 0x0',
        'length 1, 1 9',
        'no such object 0x82',
        'C_Finalize 0x0',
      ]);
    });

    it('key pairs come from the odd templates that programs use (row 10)', async () => {
      expect(await client.play('pairs')).to.deep.equal([
        'PRIVATE=FALSE 0x0, objects +2',
        'PRIVATE 0x0',
        'PRIVATE 0',
        'PRIVATE absent 0x0, objects +2',
        'PRIVATE 0x0',
        'PRIVATE 1',
        'empty label 0x0, objects +2',
        'C_GetAttributeValue 0x0',
        'label of 0 bytes',
        'DERIVE=TRUE 0x0, objects +2',
        'DERIVE 0x0',
        'DERIVE 1',
        'an id 0x0, objects +2',
        'public keys with it 1',
        'private keys with it 1',
        'the id again 0x0, objects +2',
        'public keys with it 2',
        'private keys with it 2',
        'C_Finalize 0x0',
      ]);
    });

    it('a refused template of either half creates nothing (row 10)', async () => {
      expect(await client.play('refused-pairs')).to.deep.equal([
        'private: wrong class 0xd1, objects +0',
        'private: TRUSTED=TRUE 0xd1, objects +0',
        'private: LOCAL 0x10, objects +0',
        'private: a flag of two bytes 0x13, objects +0',
        'private: twice the same 0xd1, objects +0',
        'private: unknown attribute 0x12, objects +0',
        'private: CKA_VALUE 0xd1, objects +0',
        'private: a length without a value 0x7, objects +0',
        'public: no curve 0xd0, objects +0',
        'public: unknown curve 0x140, objects +0',
        'private: no template 0x7, objects +0',
        'C_Finalize 0x0',
      ]);
    });

    it('in the strict profile the public half is private, or nothing is created (row 10)', async () => {
      const strict = await BehaviourClient.start(['--profile', 'strict']);
      try {
        const lines = await strict.play('pairs');
        expect(lines[0]).to.equal('PRIVATE=FALSE 0x13, objects +0');
        expect(lines).to.include('PRIVATE absent 0x0, objects +2');
      } finally {
        await strict.stop();
      }
    });

    it('an EC point is imported raw or as DER, and read as DER (row 12)', async () => {
      expect(await client.play('points')).to.deep.equal([
        'point of 67 bytes, 0x044104',
        'DER 0x0',
        'C_Verify 0x0, the same point',
        'raw 0x0',
        'C_Verify 0x0, the same point',
        'C_Finalize 0x0',
      ]);
    });

    it('2,000 keys are listed, and each search finds exactly its own, again and again (row 16)', async () => {
      expect(await client.play('flock')).to.deep.equal([
        'objects +2000',
        'listed 2000, the right ones',
        'searches that went wrong 0',
        'searches that went wrong 0',
        'searches that went wrong 0',
        'searches that went wrong 1',
        'listed 1999',
        'C_Finalize 0x0',
      ]);
    });

    it('C_FindObjects without an array counts up to its maximum and takes nothing (row 16)', async () => {
      expect(await client.play('find-null')).to.deep.equal([
        ...[0, 1, 2, 3].flatMap((keys) => [
          `${keys} keys, asked 0x0: ${Math.min(keys, 2)}`,
          `${keys} keys, asked 0x0: ${Math.min(keys, 2)}`,
          `${keys} keys, taken 0x0: ${keys}`,
        ]),
        'C_Finalize 0x0',
      ]);
    });
  });
});
