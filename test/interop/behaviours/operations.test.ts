import {
  createCipheriv,
  createDecipheriv,
  createHash,
  createHmac,
  createPublicKey,
  verify as verifyInNode,
} from 'node:crypto';
import { expect } from 'chai';
import { type BehaviourClient, useClient } from './client.js';

/** What behaviour_client knows: 32 bytes that are key of AES and of HMAC, the data, and the IV of CBC. */
const knownKey = Buffer.from(Array.from({ length: 32 }, (_, at) => at));
const plain = Buffer.from('twenty-one bytes long');
const cbcIv = Buffer.concat([Buffer.from([1, 2, 3]), Buffer.alloc(13)]);

const sha256 = (data: Buffer): string => createHash('sha256').update(data).digest('hex');
const hmac = (data: Buffer): string => createHmac('sha256', knownKey).update(data).digest('hex');
function cbc(data: Buffer): string {
  const cipher = createCipheriv('aes-256-cbc', knownKey, cbcIv);
  return Buffer.concat([cipher.update(data), cipher.final()]).toString('hex');
}

/** The hexadecimal values of the lines `NAME HEX`. */
const valuesOf = (lines: readonly string[], name: string): string[] =>
  lines.flatMap((line) => new RegExp(`^${name} ([0-9a-f]{2,})$`).exec(line)?.[1] ?? []);

describe('what programs do to the module', function () {
  this.timeout(300_000);

  let client: BehaviourClient;

  useClient((started) => {
    client = started;
  });

  describe('operations', () => {
    it("GCM: zeros become the HSM's IV in C_EncryptInit, another IV stays as it is (row 11)", async () => {
      const lines = await client.play('gcm');
      const ivs = valuesOf(lines, 'iv');
      const outputs = valuesOf(lines, 'output');
      const answers = lines.filter((line) => line.startsWith('C_') && !line.startsWith('C_Finalize'));
      expect(answers).to.deep.equal(
        [1, 2, 3].flatMap(() => [
          'C_EncryptInit 0x0',
          'C_Encrypt(NULL) 0x0: 37',
          'C_Encrypt 0x0: 37',
          `C_Decrypt 0x0: ${plain}`,
        ]),
      );
      expect(ivs).to.have.length(3);
      expect(ivs.slice(0, 2)).not.to.include('00'.repeat(12));
      expect(ivs[0]).not.to.equal(ivs[1]);
      expect(ivs[2]).to.equal('07'.repeat(12));
      for (const [at, iv] of ivs.entries()) {
        const output = Buffer.from(outputs[at]!, 'hex');
        const decipher = createDecipheriv('aes-256-gcm', knownKey, Buffer.from(iv, 'hex'));
        decipher.setAAD(Buffer.from('and more')).setAuthTag(output.subarray(-16));
        const decrypted = Buffer.concat([decipher.update(output.subarray(0, -16)), decipher.final()]);
        expect(decrypted).to.deep.equal(plain);
      }
    });

    it('GCM parameters that mean nothing are refused, and leave no operation (row 11)', async () => {
      expect(await client.play('gcm-refused')).to.deep.equal([
        'an IV that is NULL 0x71 0x71',
        'no IV 0x71 0x71',
        'an IV of 0 bytes 0x71 0x71',
        'a tag of 129 bits 0x71 0x71',
        'AAD that is NULL 0x71 0x71',
        '40 bytes 0x71 0x71',
        '49 bytes 0x71 0x71',
        '0 bytes 0x71 0x71',
        'C_Encrypt 0x91',
        'the good one 0x0 0x0',
        'C_Finalize 0x0',
      ]);
    });

    it('an operation is cancelled by an Init without a mechanism, and another begun (row 14)', async () => {
      const round = [
        'C_SignInit 0x0',
        'C_VerifyInit 0x0',
        'C_EncryptInit 0x0',
        'C_DecryptInit 0x0',
        'C_DigestInit 0x0',
        'C_SignInit again 0x90',
        'C_SignUpdate 0x0',
        'C_DigestUpdate 0x0',
        'C_SignInit(NULL) 0x0',
        'C_VerifyInit(NULL) 0x0',
        'C_EncryptInit(NULL) 0x0',
        'C_DecryptInit(NULL) 0x0',
        'C_DigestInit(NULL) 0x0',
      ];
      expect(await client.play('cancel')).to.deep.equal([
        ...round,
        ...round,
        'C_Sign 0x91',
        'C_GetOperationState(NULL) 0x54',
        'C_GetOperationState 0x54',
        'C_Digest 0x0',
        `digest ${sha256(plain)}`,
        'C_Finalize 0x0',
      ]);
    });

    it('hash and sign: the same in parts and in one piece, at every size (row 14)', async () => {
      const lines = await client.play('sizes');
      const [modulus] = valuesOf(lines, 'modulus');
      const signatures = valuesOf(lines, 'signature');
      const jwk = { kty: 'RSA', e: 'AQAB', n: Buffer.from(modulus!, 'hex').toString('base64url') };
      const publicKey = createPublicKey({ key: jwk, format: 'jwk' });
      const sizes = [0, 16383, 16384, 16385, 65535, 65536, 65537, 1048576];
      expect(lines.filter((line) => line.includes('bytes:'))).to.deep.equal(
        sizes.map((size) => `${size} bytes: the same`),
      );
      for (const [at, size] of sizes.entries()) {
        const data = Buffer.from(Array.from({ length: size }, (_, index) => index % 251));
        const valid = verifyInNode('sha256', data, publicKey, Buffer.from(signatures[at]!, 'hex'));
        expect(valid, `${size} bytes`).to.equal(true);
      }
    });

    /** The lines of a call that was asked its length twice, given too little room, and answered. */
    const taken = (call: string, value: string, asked = value.length / 2): string[] => [
      `${call} asked 0x0: ${asked}, 0x0: ${asked}`,
      `${call} short 0x150: ${value.length / 2}`,
      `${call} 0x0: ${value.length / 2}`,
      `${call} ${value}`,
    ];

    it('asking for a length, or offering too little room, takes nothing: whole data (row 14)', async () => {
      expect(await client.play('lengths')).to.deep.equal([
        ...taken('C_Sign', hmac(plain)),
        ...taken('C_SignFinal', hmac(plain)),
        ...taken('C_Digest', sha256(plain)),
        ...taken('C_DigestFinal', sha256(plain)),
        ...taken('C_Encrypt', cbc(plain)),
        // What is asked before decryption may be more than the padding leaves.
        ...taken('C_Decrypt', plain.toString('hex'), 32),
        'C_Sign over 0x91',
        'C_Finalize 0x0',
      ]);
    });

    it('asking for a length, or offering too little room, takes nothing: parts (row 14)', async () => {
      const encrypted = cbc(plain);
      expect(await client.play('parts')).to.deep.equal([
        ...taken('C_EncryptUpdate', encrypted.slice(0, 32)),
        ...taken('C_EncryptFinal', encrypted.slice(32)),
        ...taken('C_DecryptUpdate', plain.subarray(0, 16).toString('hex')),
        ...taken('C_DecryptFinal', plain.subarray(16).toString('hex'), 16),
        'C_DecryptFinal over 0x91',
        'C_Finalize 0x0',
      ]);
    });
  });

  describe('calls that the module refuses by itself', () => {
    it('end their operation, as any failure but CKR_BUFFER_TOO_SMALL does', async () => {
      expect(await client.play('refused')).to.deep.equal([
        'C_Encrypt 0x7, begun again 0x0',
        'C_DecryptUpdate 0x7, begun again 0x0',
        'C_SignFinal 0x7, begun again 0x0',
        'C_Verify 0x7, begun again 0x0',
        'C_DigestUpdate 0x7, begun again 0x0',
        'C_Encrypt enormous 0x21, begun again 0x0',
        'C_Digest enormous 0x7, begun again 0x0',
        'C_EncryptInit refused 0x90',
        'C_Encrypt 0x0',
        'C_Finalize 0x0',
      ]);
    });
  });

  describe('threads', () => {
    it('64 threads with a session each sign, encrypt and hash, and all is right (row 5)', async () => {
      const data = Buffer.alloc(101, 1);
      expect(await client.play('mixed')).to.deep.equal([
        `digest ${sha256(data)}`,
        `hmac ${hmac(data)}`,
        `cbc ${cbc(data)}`,
        'sessions of their own: 64 x 0x0',
        'C_Finalize 0x0',
      ]);
    });

    it('8 threads share one session (row 5)', async () => {
      expect(await client.play('shared')).to.deep.equal(['one session: 8 x 0x0', 'C_Finalize 0x0']);
    });

    it('inputs of several turns of shared memory have their digests, also where 4 threads share a session', async () => {
      const hashes = 5;
      expect(await client.play('large-digests')).to.deep.equal([
        ...Array.from({ length: hashes }, () => '0 wrong'),
        'the length 0x0',
        'too little room 0x150',
        'the digest 0x0',
        'of 32 bytes: right',
        'one session: 4 x 0x0',
        'C_Finalize 0x0',
      ]);
    });

    for (const [scene, what] of [
      ['signers', 'with P-256, which they may do beside each other'],
      ['long-signers', 'with RSA, which they always do'],
    ] as const) {
      it(`4 threads sign ${what}, until the key, the login or their sessions are gone`, async () => {
        expect(await client.play(scene)).to.deep.equal([
          'one key: 4 x 0x0',
          'until it is destroyed: 1 x 0x0, 3 x 0x60',
          'until they are logged out: 4 x 0x0',
          'until their sessions are closed: 4 x 0x0',
          'another key: 4 x 0x0',
          'C_Finalize 0x0',
        ]);
      });
    }
  });
});
