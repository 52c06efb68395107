import { expect } from 'chai';
import { derivePbkBytes, kbkdfCounter } from '../../src/backup/derivation.js';
import { decodeHeader, derivationContext, headerLength } from '../../src/backup/header.js';
import { aesKeyWrap, aesKeyWrapLater, digest, importSecretKey } from '../../src/crypto/index.js';
import { backupOf, counting, knownFields, knownFresh, knownKeys, knownState, opened } from './support.js';

const hex = (text: string): Buffer => Buffer.from(text, 'hex');
const pbk = 'f91f3cd305f6bffe4d0a1b54148c8928c4e02ae0166814ff5d7e08faff293d86';
const wrappedEbk = '35ab8471710616eac205faf809a3edb9227129c1e2389521a8077436ec7d27269fc009ce698e96db';

/** Reference control-plane-and-backups, section 12.3, unless another source is named. */
describe('known answers of backups', () => {
  it('the KDF of SP 800-108 in counter mode: NIST CAVS, KDFCTR_gen, HMAC-SHA-256, 32 bits before the data', () => {
    const keyIn = hex('e204d6d466aad507ffaf6d6dab0a5b26152c9e21e764370464e360c8fbc765c6');
    const fixed = hex(
      '7b03b98d9f94b899e591f3ef264b71b193fba7043c7e953cde23bc5384bc1a6293580115fae3495fd845dadbd02bd6455cf48d0f62b33e62364a3a80',
    );
    expect(kbkdfCounter(keyIn, fixed, 32).toString('hex')).to.equal(
      '770dfab6a6a4a4bee0257ff335213f78d8287b4fd537d5c1fffa956910e7c779',
    );
  });

  it('KW: RFC 3394, section 4.6', () => {
    const key = importSecretKey(counting(0, 32));
    const data = hex('00112233445566778899aabbccddeeff000102030405060708090a0b0c0d0e0f');
    const wrapped = '28c9f404c4b810f4cbccb35cfb87f8263f5786e2d80ed326cbc7f0e71a99f43bfb988b9b7a02dd21';
    expect(aesKeyWrap('KW', key, data).toString('hex')).to.equal(wrapped);
  });

  for (const [data, wrapped] of [
    [
      'c37b7e6492584340bed12207808941155068f738',
      '138bdeaa9b8fa7fc61f97742e72248ee5ae6ae5360d1ae6a5f54f373fa543b6a',
    ],
    ['466f7250617369', 'afbeb0f07dfbf5419200f2ccb50bb24f'],
  ] as const) {
    it(`KWP on a native thread: RFC 5649, section 6, ${data.length / 2} bytes`, async () => {
      const key = importSecretKey(hex('5840df6e29b02af1ab493b705bf16ea1ae8338f4dcc176a8'));
      expect((await aesKeyWrapLater('KWP', key, hex(data))).toString('hex')).to.equal(wrapped);
    });
  }

  it('the context of the derivation, and PBK', () => {
    const id = knownKeys.current;
    expect(derivationContext(id).toString('hex')).to.equal(
      '0001000b53494d2d4d415256454c4c00020004000000010003000400000001',
    );
    expect(derivePbkBytes(counting(0, 32), counting(0x20, 32), id).toString('hex')).to.equal(pbk);
  });

  it('the EBK under PBK', () => {
    expect(aesKeyWrap('KW', importSecretKey(hex(pbk)), counting(0x40, 32)).toString('hex')).to.equal(
      wrappedEbk,
    );
  });

  it('the header and the whole backup', async () => {
    const backup = await backupOf(Buffer.from(knownState), { fresh: knownFresh() });
    const header = backup.subarray(0, headerLength(backup));
    expect(header.length).to.equal(178);
    expect(header.subarray(-40).toString('hex')).to.equal(wrappedEbk);
    expect(digest('sha256', header).toString('hex')).to.equal(
      '02d38977dcac0dc2f3baadec6209867a054e2d7173f7522389f1c334d2f77ab8',
    );
    expect(backup.length).to.equal(346);
    expect(digest('sha256', backup).toString('hex')).to.equal(
      '9ef6465bc362ce850c030ac4794e3c000adc155935e717f001cc3ca2a433a758',
    );
    expect(decodeHeader(header)).to.deep.include({ ...knownFields, chunkCount: 2, chunkSizeBytes: 65536 });
    expect((await opened(backup)).state?.toString()).to.equal(knownState);
  });
});
