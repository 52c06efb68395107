import { createHash } from 'node:crypto';
import { expect } from 'chai';
import { LONG_DIGEST_BYTES } from '../../src/crypto/index.js';
import { callCounts } from '../../src/cryptoki/dispatch.js';
import { Session } from '../../src/cryptoki/session.js';
import { ROOM_QUERY } from '../../src/wire/arguments.js';
import { memoryEngine } from '../support/in-process.js';
import { mechanism } from '../support/program.js';
import { DATA, ROOM, Signer } from '../support/signer.js';

describe('digests that a program repeats', () => {
  let program: Signer;
  /** As many as JavaScript begins. */
  let begun = 0;
  const { begin } = Session.prototype;
  beforeEach(async () => {
    const { applications } = await memoryEngine();
    program = await Signer.open(applications);
    begun = 0;
    Session.prototype.begin = function (this: Session, ...given: Parameters<typeof begin>) {
      begun++;
      begin.apply(this, given);
    } as typeof begin;
  });
  afterEach(() => {
    Session.prototype.begin = begin;
    program.wire.close();
  });

  const init = (name = 'CKM_SHA256') =>
    program.call('C_DigestInit', { pMechanism: mechanism(name as 'CKM_SHA256') });
  const digest = async (pData: Buffer, name = 'CKM_SHA256'): Promise<Buffer> => {
    expect((await init(name)).code).to.equal('CKR_OK');
    return (await program.must('C_Digest', { pData, pDigest: ROOM }))['pDigest'] as Buffer;
  };
  const untilRepeated = async (name?: string): Promise<void> => {
    // More often each time that it was ended.
    for (let time = 0; time < 20; time++) await digest(DATA, name);
    begun = 0;
    await digest(DATA, name);
    expect(begun, 'begun by JavaScript').to.equal(0);
  };
  const hashOf = (data: Buffer, name = 'sha256') => createHash(name).update(data).digest();

  for (const name of ['sha1', 'sha224', 'sha256', 'sha384', 'sha512']) {
    it(`${name}, of inputs of any length`, async () => {
      const how = name === 'sha1' ? 'CKM_SHA_1' : `CKM_${name.toUpperCase()}`;
      await untilRepeated(how);
      for (const lengthBytes of [0, 1, 64, 5000, 100_000, LONG_DIGEST_BYTES - 1]) {
        const data = Buffer.alloc(lengthBytes, 'x');
        expect(await digest(data, how)).to.deep.equal(hashOf(data, name));
      }
      expect(begun).to.equal(0);
      const data = Buffer.alloc(LONG_DIGEST_BYTES, 'x');
      expect(await digest(data, how)).to.deep.equal(hashOf(data, name));
      expect(begun).to.equal(1);
    });
  }

  it('go on in parts, are asked for their length, refused while one is active, and ended by a logout', async () => {
    await untilRepeated();
    await init();
    for (const pPart of [DATA, DATA]) await program.must('C_DigestUpdate', { pPart });
    const { pDigest } = await program.must('C_DigestFinal', { pDigest: ROOM });
    expect(pDigest).to.deep.equal(hashOf(Buffer.concat([DATA, DATA])));

    await untilRepeated();
    await init();
    const asked = await program.must('C_Digest', { pData: DATA, pDigest: ROOM_QUERY });
    expect(asked['pDigest']).to.deep.equal({ length: 32 });
    expect((await program.call('C_Digest', { pData: DATA, pDigest: 31 })).code).to.equal(
      'CKR_BUFFER_TOO_SMALL',
    );
    await program.must('C_DigestUpdate', { pPart: DATA });
    expect((await program.call('C_Digest', { pData: DATA, pDigest: ROOM })).code).to.equal(
      'CKR_OPERATION_ACTIVE',
    );

    await program.call('C_Digest', { pData: DATA, pDigest: ROOM });
    await untilRepeated();
    await init();
    expect((await init()).code).to.equal('CKR_OPERATION_ACTIVE');
    await program.must('C_Logout', {});
    expect((await program.call('C_Digest', { pData: DATA, pDigest: ROOM })).code).to.equal(
      'CKR_OPERATION_NOT_INITIALIZED',
    );
    await untilRepeated();
  });

  it('with a parameter, which is reported each time, are not repeated', async () => {
    const pMechanism = { ...mechanism('CKM_SHA256'), parameter: Buffer.alloc(3) };
    for (let time = 0; time < 20; time++) {
      expect((await program.call('C_DigestInit', { pMechanism })).code).to.equal('CKR_OK');
      await program.must('C_Digest', { pData: DATA, pDigest: ROOM });
    }
    expect(begun).to.equal(20);
  });

  it('count as calls', async () => {
    const calls = (name: string): number => callCounts().find(({ call }) => call === name)?.count ?? 0;
    const before = [calls('C_DigestInit'), calls('C_Digest'), calls('C_DigestUpdate')] as const;
    for (let time = 0; time < 100; time++) await digest(DATA);
    await init();
    await program.must('C_DigestUpdate', { pPart: DATA });
    expect([calls('C_DigestInit'), calls('C_Digest'), calls('C_DigestUpdate')]).to.deep.equal([
      before[0] + 101,
      before[1] + 100,
      before[2] + 1,
    ]);
    await program.must('C_DigestFinal', { pDigest: ROOM });
  });
});
