import { createECDH, createPublicKey, diffieHellman, generateKeyPairSync } from 'node:crypto';
import { expect } from 'chai';
import type { Cluster } from '../../src/cluster/cluster.js';
import type { ClusterClient } from '../../src/cluster/cluster-client.js';
import { type HashName, x963Kdf } from '../../src/crypto/index.js';
import { CKA } from '../../src/pkcs11/attributes.js';
import { CKD, CKK, CKO } from '../../src/pkcs11/constants.js';
import { CKM } from '../../src/pkcs11/mechanisms.js';
import { attribute, type Template } from '../../src/pkcs11/template.js';
import type { ClientSwitches } from '../../src/wire/hsm-frames.js';
import { codeOf } from '../support/codes.js';
import { type ClusterOptions, memoryCluster, PASSWORD } from '../support/in-process.js';
import { type Curve, curveOids } from '../support/keys.js';

const kdfs: readonly [HashName, number][] = [
  ['sha1', CKD.CKD_CLOUDHSM_X963_SHA1_KDF],
  ['sha224', CKD.CKD_CLOUDHSM_X963_SHA224_KDF],
  ['sha256', CKD.CKD_CLOUDHSM_X963_SHA256_KDF],
  ['sha384', CKD.CKD_CLOUDHSM_X963_SHA384_KDF],
  ['sha512', CKD.CKD_CLOUDHSM_X963_SHA512_KDF],
];
const nodeCurves: { readonly [C in Curve]: string } = {
  'P-224': 'secp224r1',
  'P-256': 'prime256v1',
  secp256k1: 'secp256k1',
  'P-384': 'secp384r1',
  'P-521': 'secp521r1',
};

const octetString = (point: Buffer): Buffer =>
  Buffer.concat([Buffer.from(point.length < 128 ? [4, point.length] : [4, 0x81, point.length]), point]);

/** A peer outside the HSM. */
function peerOn(curve: Curve) {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: nodeCurves[curve] });
  const { x, y } = publicKey.export({ format: 'jwk' });
  const point = Buffer.concat([Buffer.from([4]), Buffer.from(x!, 'base64url'), Buffer.from(y!, 'base64url')]);
  return { privateKey, point };
}

async function loggedIn(
  options: ClusterOptions,
  switches: ClientSwitches = {},
): Promise<{ cluster: Cluster; client: ClusterClient }> {
  const cluster = await memoryCluster(options);
  const client = cluster.connect({ switches });
  await client.login('crypto_user', PASSWORD);
  return { cluster, client };
}

const generate = (client: ClusterClient, curve: Curve, privateMore: Template = []) =>
  client.generateKeyPair(
    CKM.CKM_EC_KEY_PAIR_GEN,
    [attribute(CKA.CKA_EC_PARAMS, Buffer.from(curveOids[curve], 'hex'))],
    [attribute(CKA.CKA_DERIVE, true), ...privateMore],
  );

const read = async (client: ClusterClient, handle: number, type: number): Promise<Buffer> =>
  (await client.send('getAttributes', { handle, types: [type] }))[0] as Buffer;

const secretTemplate = (keyType: number, lengthBytes?: number, ...more: Template): Template => [
  attribute(CKA.CKA_CLASS, CKO.CKO_SECRET_KEY),
  attribute(CKA.CKA_KEY_TYPE, keyType),
  ...(lengthBytes === undefined ? [] : [attribute(CKA.CKA_VALUE_LEN, lengthBytes)]),
  ...more,
];
const readable = attribute(CKA.CKA_SENSITIVE, false);

const derive = async (
  client: ClusterClient,
  handle: number,
  pPublicData: Buffer,
  template: Template,
  { kdf = CKD.CKD_CLOUDHSM_X963_SHA256_KDF as number, pSharedData = Buffer.alloc(0) as Buffer } = {},
): Promise<number> =>
  client.deriveKey(
    handle,
    {
      type: CKM.CKM_ECDH1_DERIVE,
      parameter: { layout: 'CK_ECDH1_DERIVE_PARAMS', kdf, pSharedData, pPublicData },
    },
    template,
  );

/** The public half of a key in the HSM, for the peer. */
async function publicKeyOf(client: ClusterClient, curve: Curve, handle: number) {
  const point = await read(client, handle, CKA.CKA_EC_POINT);
  const raw = point.subarray(point[1] === 0x81 ? 3 : 2);
  const half = (raw.length - 1) / 2;
  const coordinate = (at: number) => raw.subarray(at, at + half).toString('base64url');
  const crv = curve.startsWith('P-') ? curve : 'secp256k1';
  return createPublicKey({
    key: { kty: 'EC', crv, x: coordinate(1), y: coordinate(1 + half) },
    format: 'jwk',
  });
}

describe('ECDH', () => {
  let client: ClusterClient;
  let cluster: Cluster;

  before(async () => {
    ({ client, cluster } = await loggedIn({}));
  });

  // node:crypto has no JWK for P-224: that curve is in the crypto room's tests.
  for (const curve of ['P-256', 'secp256k1', 'P-384', 'P-521'] as const) {
    it(`on ${curve} derives what the peer derives, with every KDF, DER or raw point`, async () => {
      const own = await generate(client, curve);
      const peer = peerOn(curve);
      const publicKey = await publicKeyOf(client, curve, own.publicKey);
      const z = diffieHellman({ privateKey: peer.privateKey, publicKey });
      for (const [hash, kdf] of kdfs) {
        for (const pSharedData of [Buffer.alloc(0), Buffer.from('shared by both')]) {
          for (const point of [peer.point, octetString(peer.point)]) {
            const template = secretTemplate(CKK.CKK_GENERIC_SECRET, 75, readable);
            const handle = await derive(client, own.privateKey, point, template, { kdf, pSharedData });
            expect(await read(client, handle, CKA.CKA_VALUE)).to.deep.equal(
              x963Kdf(hash, z, pSharedData, 75),
            );
          }
        }
      }
    });
  }

  it('takes a raw point that could be read as DER: the length of P-256 with an X that begins with 3f', async () => {
    const point = createECDH('prime256v1');
    point.setPrivateKey(Buffer.from([111]));
    const raw = point.getPublicKey();
    expect([raw[0], raw[1], raw.length]).to.deep.equal([4, 0x3f, 65]);
    const { privateKey } = await generate(client, 'P-256');
    const derived = async (given: Buffer) =>
      read(
        client,
        await derive(client, privateKey, given, secretTemplate(CKK.CKK_AES, 32, readable)),
        CKA.CKA_VALUE,
      );
    expect(await derived(raw)).to.deep.equal(await derived(octetString(raw)));
    const imported = await client.createObject([
      attribute(CKA.CKA_CLASS, CKO.CKO_PUBLIC_KEY),
      attribute(CKA.CKA_KEY_TYPE, CKK.CKK_EC),
      attribute(CKA.CKA_EC_PARAMS, Buffer.from(curveOids['P-256'], 'hex')),
      attribute(CKA.CKA_EC_POINT, raw),
    ]);
    expect(await read(client, imported, CKA.CKA_EC_POINT)).to.deep.equal(octetString(raw));
  });

  it('refuses what is no point of the curve, in any form', async () => {
    const { privateKey } = await generate(client, 'P-256');
    const { point } = peerOn('P-256');
    const offCurve = Buffer.from(point);
    offCurve[64]! ^= 1;
    const compressed = Buffer.concat([Buffer.from([2 + (point[64]! & 1)]), point.subarray(1, 33)]);
    const bad = [
      offCurve,
      octetString(offCurve),
      compressed,
      octetString(compressed),
      point.subarray(1),
      point.subarray(0, 64),
      Buffer.concat([point, Buffer.from([0])]),
      Buffer.from([0]),
      Buffer.alloc(0),
      Buffer.alloc(65),
      peerOn('P-384').point,
      peerOn('secp256k1').point,
    ];
    for (const point of bad) {
      const attempt = () => derive(client, privateKey, point, secretTemplate(CKK.CKK_AES, 32));
      expect(await codeOf(attempt), point.toString('hex')).to.equal('CKR_MECHANISM_PARAM_INVALID');
    }
  });

  it('refuses other KDFs and too much shared data', async () => {
    const { privateKey } = await generate(client, 'P-256');
    const { point } = peerOn('P-256');
    // CKD_NULL, CKD_SHA1_KDF, CKD_SHA256_KDF of the standard.
    for (const kdf of [0, 1, 2, 6])
      expect(
        await codeOf(() => derive(client, privateKey, point, secretTemplate(CKK.CKK_AES, 32), { kdf })),
      ).to.equal('CKR_MECHANISM_PARAM_INVALID');
    const pSharedData = Buffer.alloc(20_000);
    expect(
      await codeOf(() => derive(client, privateKey, point, secretTemplate(CKK.CKK_AES, 32), { pSharedData })),
    ).to.equal('CKR_MECHANISM_PARAM_INVALID');
  });

  it('makes AES keys and generic secrets of their lengths only, and no other objects', async () => {
    const { privateKey } = await generate(client, 'P-256');
    const { point } = peerOn('P-256');
    const code = (template: Template) => codeOf(() => derive(client, privateKey, point, template));
    for (const lengthBytes of [16, 24, 32])
      expect(await code(secretTemplate(CKK.CKK_AES, lengthBytes))).to.equal('CKR_OK');
    for (const lengthBytes of [1, 800])
      expect(await code(secretTemplate(CKK.CKK_GENERIC_SECRET, lengthBytes))).to.equal('CKR_OK');
    for (const lengthBytes of [0, 15, 33])
      expect(await code(secretTemplate(CKK.CKK_AES, lengthBytes))).to.equal('CKR_ATTRIBUTE_VALUE_INVALID');
    for (const lengthBytes of [0, 801])
      expect(await code(secretTemplate(CKK.CKK_GENERIC_SECRET, lengthBytes))).to.equal(
        'CKR_ATTRIBUTE_VALUE_INVALID',
      );
    expect(await code(secretTemplate(CKK.CKK_AES))).to.equal('CKR_TEMPLATE_INCOMPLETE');
    expect(await code(secretTemplate(CKK.CKK_RSA, 32))).to.equal('CKR_TEMPLATE_INCONSISTENT');
    expect(
      await code([attribute(CKA.CKA_CLASS, CKO.CKO_PRIVATE_KEY), attribute(CKA.CKA_KEY_TYPE, CKK.CKK_EC)]),
    ).to.equal('CKR_TEMPLATE_INCONSISTENT');
    // "FIPS clusters: no new keys since 2024" (reference section 8).
    expect(await code(secretTemplate(CKK.CKK_DES3))).to.equal('CKR_TEMPLATE_INCONSISTENT');
  });

  it('puts a derived token key on every HSM', async () => {
    const { privateKey } = await generate(client, 'P-256');
    const template = secretTemplate(CKK.CKK_AES, 32, attribute(CKA.CKA_TOKEN, true));
    const before = cluster.hsms.map((hsm) => hsm.objects.count);
    await derive(client, privateKey, peerOn('P-256').point, template);
    expect(cluster.hsms.map((hsm) => hsm.objects.count)).to.deep.equal(before.map((count) => count + 1));
  });

  // Reference section 11.5: "LOCAL: True for derived keys"; the rest is v2.40's (mechanisms, 2.3.5).
  it('says of a derived key what its base key was', async () => {
    const history = async (privateMore: Template, ...more: Template): Promise<number[]> => {
      const { privateKey } = await generate(client, 'P-256', privateMore);
      const handle = await derive(
        client,
        privateKey,
        peerOn('P-256').point,
        secretTemplate(CKK.CKK_AES, 32, ...more),
      );
      const types = [CKA.CKA_LOCAL, CKA.CKA_ALWAYS_SENSITIVE, CKA.CKA_NEVER_EXTRACTABLE];
      return (await client.send('getAttributes', { handle, types })).map((value) => (value as Buffer)[0]!);
    };
    const unextractable = attribute(CKA.CKA_EXTRACTABLE, false);
    expect(await history([unextractable], unextractable)).to.deep.equal([1, 1, 1]);
    expect(await history([], unextractable)).to.deep.equal([1, 1, 0]);
    expect(await history([unextractable])).to.deep.equal([1, 1, 0]);
    expect(await history([readable])).to.deep.equal([1, 0, 0]);
  });
});

describe('ECDH without a KDF', () => {
  const attempt = async (options: ClusterOptions, lengthBytes: number, switches?: ClientSwitches) => {
    const { client } = await loggedIn({ hsms: 1, ...options }, switches);
    const own = await generate(client, 'P-256');
    const peer = peerOn('P-256');
    const handle = await derive(
      client,
      own.privateKey,
      peer.point,
      secretTemplate(CKK.CKK_GENERIC_SECRET, lengthBytes, readable),
      { kdf: CKD.CKD_NULL },
    );
    const publicKey = await publicKeyOf(client, 'P-256', own.publicKey);
    const z = diffieHellman({ privateKey: peer.privateKey, publicKey });
    return { derived: await read(client, handle, CKA.CKA_VALUE), z };
  };

  it('is refused unless enabled, and in FIPS mode', async () => {
    for (const options of [{ mode: 'NON_FIPS' }, { mode: 'FIPS', ecdhWithoutKdf: true }] as const)
      expect(await codeOf(() => attempt(options, 32))).to.equal('CKR_MECHANISM_PARAM_INVALID');
  });

  it("is what the client's switch says, where there is one", async () => {
    const mode = 'NON_FIPS';
    const on = await attempt({ mode }, 32, { ecdhWithoutKdf: true });
    expect(on.derived).to.deep.equal(on.z);
    for (const ecdhWithoutKdf of [false, true])
      expect(
        await codeOf(() =>
          attempt({ mode: ecdhWithoutKdf ? 'FIPS' : mode, ecdhWithoutKdf: true }, 32, { ecdhWithoutKdf }),
        ),
      ).to.equal('CKR_MECHANISM_PARAM_INVALID');
  });

  it('gives the end of the shared secret, and no more than there is', async () => {
    const options = { mode: 'NON_FIPS', ecdhWithoutKdf: true } as const;
    for (const lengthBytes of [1, 16, 32]) {
      const { derived, z } = await attempt(options, lengthBytes);
      expect(derived).to.deep.equal(z.subarray(32 - lengthBytes));
    }
    expect(await codeOf(() => attempt(options, 33))).to.equal('CKR_KEY_SIZE_RANGE');
  });

  it('derives Triple DES keys of odd parity in a NON_FIPS cluster', async () => {
    const { client } = await loggedIn({ hsms: 1, mode: 'NON_FIPS' });
    const { privateKey } = await generate(client, 'P-256');
    const { point } = peerOn('P-256');
    const handle = await derive(client, privateKey, point, secretTemplate(CKK.CKK_DES3, undefined, readable));
    const value = await read(client, handle, CKA.CKA_VALUE);
    expect(value).to.have.length(24);
    for (const byte of value) expect(byte.toString(2).replaceAll('0', '').length % 2).to.equal(1);
    expect(await codeOf(() => derive(client, privateKey, point, secretTemplate(CKK.CKK_DES3, 24)))).to.equal(
      'CKR_TEMPLATE_INCONSISTENT',
    );
  });
});
