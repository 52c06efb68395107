import { constants, createHash, createPublicKey, verify } from 'node:crypto';
import { join } from 'node:path';
import { expect } from 'chai';
import { CKR } from '../../src/pkcs11/ckr.js';
import { needsClient } from '../support/clients.js';
import { projectRoot, TestEngine } from '../support/engine.js';

const MESSAGE = 'signed, sealed, delivered';
const client = join(projectRoot, 'test', 'interop', 'python', 'pykcs11_client.py');
/** Debian's, which has Debian's PyKCS11. */
const python = '/usr/bin/python3';

/** What the program has printed. */
interface Found {
  readonly [name: string]: unknown;
  readonly modulus: string;
  readonly point: string;
  readonly pss: string;
  readonly ecdsa: string;
}

const hex = (text: string): Buffer => Buffer.from(text, 'hex');

describe('Python with PyKCS11, in the strict profile', function () {
  this.timeout(120_000);

  let engine: TestEngine;
  let found: Found;

  before(async function () {
    needsClient(this, 'PyKCS11', 'python3-pykcs11');
    engine = await TestEngine.start(['--profile', 'strict']);
    const { code, stdout, stderr } = await engine.run(python, [client, MESSAGE]);
    expect(code, stderr).to.equal(0);
    found = JSON.parse(stdout);
  });

  after(async () => {
    await engine?.stop();
  });

  it('finds the slot with its number of 62 bits, and the token', () => {
    expect(found).to.include({ slot: '0x2000000000000001', token: 'hsm1' });
  });

  it('signs with RSA-PSS and ECDSA what node:crypto verifies', () => {
    const n = hex(found.modulus).toString('base64url');
    const rsa = createPublicKey({ format: 'jwk', key: { kty: 'RSA', e: 'AQAB', n } });
    const padding = { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 };
    expect(verify('sha256', Buffer.from(MESSAGE), { key: rsa, ...padding }, hex(found.pss))).to.equal(true);
    // DER: 04 41 around 04 ‖ X ‖ Y.
    const coordinates = hex(found.point).subarray(3);
    const ec = createPublicKey({
      format: 'jwk',
      key: {
        kty: 'EC',
        crv: 'P-256',
        x: coordinates.subarray(0, 32).toString('base64url'),
        y: coordinates.subarray(32).toString('base64url'),
      },
    });
    const raw = { key: ec, dsaEncoding: 'ieee-p1363' } as const;
    expect(verify('sha256', Buffer.from(MESSAGE), raw, hex(found.ecdsa))).to.equal(true);
  });

  it('encrypts with OAEP and GCM, wraps the AES key and goes on with the unwrapped one', () => {
    expect(found).to.include({ oaep: MESSAGE, gcm: MESSAGE, unwrapped: MESSAGE });
    expect(found['gcmLength']).to.equal(MESSAGE.length + 16);
    expect(found['digest']).to.equal(createHash('sha256').update(MESSAGE).digest('hex'));
  });

  it('finds its keys by their label and destroys them', () => {
    expect(found['labelled']).to.deep.equal([
      'CKO_PRIVATE_KEY',
      'CKO_PRIVATE_KEY',
      'CKO_PUBLIC_KEY',
      'CKO_PUBLIC_KEY',
    ]);
    expect(found['left']).to.equal(0);
  });

  it('is told that CloudHSM has no C_SetPIN', () => {
    expect(found['setPin']).to.equal(CKR.CKR_FUNCTION_NOT_SUPPORTED);
  });

  it('has done nothing that CloudHSM refuses', async () => {
    const { code, stdout } = await engine.run(process.execPath, [
      join(projectRoot, 'bin', 'cloudhsm-local.mjs'),
      'report',
      '--home',
      engine.home,
      '--fail-on-deviation',
    ]);
    expect(code, stdout).to.equal(0);
  });
});
