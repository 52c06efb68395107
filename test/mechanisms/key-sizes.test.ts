import { expect } from 'chai';
import type { ClusterClient } from '../../src/cluster/cluster-client.js';
import { CKA } from '../../src/pkcs11/attributes.js';
import { CKM } from '../../src/pkcs11/mechanisms.js';
import { attribute, type Template } from '../../src/pkcs11/template.js';
import { codeOf } from '../support/codes.js';
import { memoryCluster, PASSWORD } from '../support/in-process.js';
import { curveOids } from '../support/keys.js';

// Reference section 8.
describe('sizes of new keys', () => {
  let client: ClusterClient;

  before(async () => {
    client = (await memoryCluster({ hsms: 1 })).connect();
    await client.login('crypto_user', PASSWORD);
  });

  const secret = (mechanism: number, lengthBytes: number) =>
    codeOf(() => client.generateKey(mechanism, [attribute(CKA.CKA_VALUE_LEN, lengthBytes)]));
  const pair = (mechanism: number, template: Template) =>
    codeOf(() => client.generateKeyPair(mechanism, template, []));
  const rsa = (modulusBits: number, exponent: string) =>
    pair(CKM.CKM_RSA_X9_31_KEY_PAIR_GEN, [
      attribute(CKA.CKA_MODULUS_BITS, modulusBits),
      attribute(CKA.CKA_PUBLIC_EXPONENT, Buffer.from(exponent, 'hex')),
    ]);
  const ec = (parameters: string) =>
    pair(CKM.CKM_EC_KEY_PAIR_GEN, [attribute(CKA.CKA_EC_PARAMS, Buffer.from(parameters, 'hex'))]);

  it('AES has 16, 24 or 32 bytes, a generic secret 1 to 800', async () => {
    for (const lengthBytes of [16, 24, 32])
      expect(await secret(CKM.CKM_AES_KEY_GEN, lengthBytes)).to.equal('CKR_OK');
    for (const lengthBytes of [0, 8, 20, 33])
      expect(await secret(CKM.CKM_AES_KEY_GEN, lengthBytes)).to.equal('CKR_ATTRIBUTE_VALUE_INVALID');
    for (const lengthBytes of [1, 800])
      expect(await secret(CKM.CKM_GENERIC_SECRET_KEY_GEN, lengthBytes)).to.equal('CKR_OK');
    for (const lengthBytes of [0, 801, 2 ** 40])
      expect(await secret(CKM.CKM_GENERIC_SECRET_KEY_GEN, lengthBytes)).to.equal(
        'CKR_ATTRIBUTE_VALUE_INVALID',
      );
  });

  it('RSA has 2048 to 4096 bits in steps of 256, and an odd exponent of 65537 or more', async () => {
    expect(await rsa(2304, '010001')).to.equal('CKR_OK');
    for (const modulusBits of [1024, 1792, 2047, 2049, 2176, 4352])
      expect(await rsa(modulusBits, '010001')).to.equal('CKR_ATTRIBUTE_VALUE_INVALID');
    for (const exponent of ['', '01', '03', 'ffff', '010000', '010002', `01${'00'.repeat(7)}01`])
      expect(await rsa(2048, exponent)).to.equal('CKR_ATTRIBUTE_VALUE_INVALID');
  });

  it('EC has five named curves; other curves and explicit parameters are refused', async () => {
    for (const oid of Object.values(curveOids)) expect(await ec(oid)).to.equal('CKR_OK');
    // secp192r1, brainpoolP256r1, and X25519 by its OID.
    for (const oid of ['06082a8648ce3d030101', '06092b2403030208010107', '06032b656e'])
      expect(await ec(oid)).to.equal('CKR_CURVE_NOT_SUPPORTED');
    // ECParameters (a SEQUENCE), implicitlyCA (NULL), a PrintableString, nothing.
    for (const parameters of ['30070201010602', '0500', '130550323536', ''])
      expect(await ec(parameters)).to.equal('CKR_DOMAIN_PARAMS_INVALID');
  });
});
