import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { expect } from 'chai';
import {
  ecdsaSign,
  ecdsaVerify,
  generateEcKeyPair,
  generateRsaKeyPair,
  importPrivateKey,
  importPublicKey,
  randomBytes,
  rsaDecrypt,
  rsaEncrypt,
  rsaSign,
  rsaVerify,
} from '../../src/crypto/index.js';
import { codeOf } from './support.js';

const pkcs1 = { scheme: 'pkcs1' } as const;

describe('operations on native threads', () => {
  it('finish with the right answers when keys are destroyed and inputs overwritten meanwhile', async () => {
    const rsa = await generateRsaKeyPair(1024, Buffer.from([1, 0, 1]));
    const ec = await generateEcKeyPair('P-384');
    const [rsaPublic, ecPublic] = [importPublicKey(rsa.spki), importPublicKey(ec.spki)];
    const rounds = Array.from({ length: 100 }, async () => {
      const [rsaKey, ecKey] = [importPrivateKey(rsa.pkcs8), importPrivateKey(ec.pkcs8)];
      const input = randomBytes(48);
      const kept = Buffer.from(input);
      const sealed = rsaEncrypt(
        rsaPublic,
        { scheme: 'oaep', hash: 'sha1', mgfHash: 'sha1', label: input },
        input,
      );
      const label = Buffer.from(input);
      const running = [
        rsaSign(rsaKey, pkcs1, input),
        ecdsaSign(ecKey, input),
        rsaDecrypt(rsaKey, { scheme: 'oaep', hash: 'sha1', mgfHash: 'sha1', label }, sealed),
      ];
      for (const buffer of [input, sealed, label]) buffer.fill(0);
      rsaKey.destroy();
      ecKey.destroy();
      expect(await codeOf(() => rsaSign(rsaKey, pkcs1, kept))).to.equal('INVALID_KEY');
      expect(await codeOf(() => ecdsaSign(ecKey, kept))).to.equal('INVALID_KEY');
      const [rsaSignature, ecSignature, plaintext] = (await Promise.all(running)) as [Buffer, Buffer, Buffer];
      expect(rsaVerify(rsaPublic, pkcs1, kept, rsaSignature)).to.equal(true);
      expect(await ecdsaVerify(ecPublic, kept, ecSignature)).to.equal(true);
      expect(plaintext).to.deep.equal(kept);
    });
    await Promise.all(rounds);
  });

  it('find a new RSA key for each caller, however many search', async () => {
    const pairs = await Promise.all(
      Array.from({ length: 24 }, (_, i) =>
        generateRsaKeyPair(i % 2 === 0 ? 512 : 768, Buffer.from([1, 0, 1])),
      ),
    );
    expect(new Set(pairs.map(({ spki }) => spki.toString('hex'))).size).to.equal(pairs.length);
    for (const { pkcs8, spki } of pairs) {
      const [key, publicKey] = [importPrivateKey(pkcs8), importPublicKey(spki)];
      const input = randomBytes(20);
      expect(rsaVerify(publicKey, pkcs1, input, await rsaSign(key, pkcs1, input))).to.equal(true);
    }
  });

  it('share one key', async () => {
    const { pkcs8, spki } = await generateEcKeyPair('P-521');
    const [key, publicKey] = [importPrivateKey(pkcs8), importPublicKey(spki)];
    const inputs = Array.from({ length: 64 }, () => randomBytes(64));
    const signatures = await Promise.all(inputs.map((input) => ecdsaSign(key, input)));
    const valid = await Promise.all(inputs.map((input, i) => ecdsaVerify(publicKey, input, signatures[i]!)));
    expect(valid).not.to.include(false);
  });

  it('reject with a CryptoError', async () => {
    const { pkcs8 } = await generateRsaKeyPair(512, Buffer.of(3));
    const sealed = randomBytes(64);
    sealed[0] = 0;
    const oaep = { scheme: 'oaep', hash: 'sha1', mgfHash: 'sha1', label: sealed } as const;
    const codes = await Promise.all(
      Array.from({ length: 50 }, () => codeOf(() => rsaDecrypt(importPrivateKey(pkcs8), oaep, sealed))),
    );
    expect(new Set(codes)).to.deep.equal(new Set(['DECRYPTION_FAILED']));
  });
});

describe('the addon in worker threads', () => {
  it('has its own error class and contexts in each', async () => {
    const index = new URL('../../src/crypto/index.js', import.meta.url).href;
    const code = `
      const { parentPort } = require('node:worker_threads');
      import(${JSON.stringify(index)}).then(async (crypto) => {
        let caught;
        try { crypto.importSecretKey(new Uint8Array()); } catch (error) { caught = error; }
        const pair = await crypto.generateEcKeyPair('P-384');
        const signature = await crypto.ecdsaSign(crypto.importPrivateKey(pair.pkcs8), crypto.digest('sha384', pair.spki));
        parentPort.postMessage([caught instanceof crypto.CryptoError, caught.code, signature.length]);
      });`;
    const answers = Array.from({ length: 3 }, async () => {
      const worker = new Worker(code, { eval: true });
      const [answer] = await once(worker, 'message');
      await worker.terminate();
      return answer;
    });
    for (const answer of await Promise.all(answers)) expect(answer).to.deep.equal([true, 'INVALID_KEY', 96]);
  });
});
