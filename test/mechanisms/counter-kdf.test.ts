import { expect } from 'chai';
import type { ClusterClient } from '../../src/cluster/cluster-client.js';
import { CKA } from '../../src/pkcs11/attributes.js';
import { CKK, CKO } from '../../src/pkcs11/constants.js';
import type { Structure } from '../../src/pkcs11/layouts.js';
import { CKM } from '../../src/pkcs11/mechanisms.js';
import { attribute, ulongBytes } from '../../src/pkcs11/template.js';
import { prfDataTypes } from '../../src/pkcs11/vendor.js';
import { codeOf } from '../support/codes.js';
import { memoryCluster, PASSWORD } from '../support/in-process.js';

type PrfData = Structure<'CK_PRF_DATA_PARAM'>;

const data = (type: number, pValue: Buffer): PrfData => ({ layout: 'CK_PRF_DATA_PARAM', type, pValue });
const ulongs = (...values: number[]): Buffer => Buffer.concat(values.map(ulongBytes));

const newStyle = {
  counter: (bits: number) => data(prfDataTypes.CK_SP800_108_ITERATION_VARIABLE, ulongs(bits)),
  length: (bits: number, method = 1) => data(prfDataTypes.CK_SP800_108_DKM_LENGTH, ulongs(method, bits)),
  bytes: (value: string | Buffer) => data(prfDataTypes.CK_SP800_108_BYTE_ARRAY, Buffer.from(value)),
};
const oldStyle = {
  counter: (bits: number) => data(prfDataTypes.SP800_108_COUNTER_FORMAT, ulongs(bits)),
  label: (value: string) => data(prfDataTypes.SP800_108_PRF_LABEL, Buffer.from(value)),
  context: (value: string) => data(prfDataTypes.SP800_108_PRF_CONTEXT, Buffer.from(value)),
  length: (bits: number, method = 1) => data(prfDataTypes.SP800_108_DKM_FORMAT, ulongs(method, bits)),
};

const prfs = {
  SHA_1: CKM.CKM_SHA_1_HMAC,
  SHA224: CKM.CKM_SHA224_HMAC,
  SHA256: CKM.CKM_SHA256_HMAC,
  SHA384: CKM.CKM_SHA384_HMAC,
  SHA512: CKM.CKM_SHA512_HMAC,
  AES_CMAC: CKM.CKM_AES_CMAC,
} as const;
type Prf = keyof typeof prfs;

/** Bytes 0, 1, 2, … of the base keys below. */
const baseBytes = (lengthBytes: number): Buffer =>
  Buffer.from(Array.from({ length: lengthBytes }, (_, at) => at));

/**
 * counter ‖ "label" ‖ 00 ‖ "context" ‖ L, by Python's cryptography 48.0, KBKDFHMAC and KBKDFCMAC:
 * [PRF, bytes of base key, bytes derived, bits of counter, bits of L, derived key].
 */
const known: readonly [Prf, number, number, number, number, string][] = [
  ['SHA_1', 16, 32, 16, 16, '170a67dc912e3c956c6fba6ed62d6068f38c7d170894b27ace351fb55f3d5f8f'],
  [
    'SHA224',
    24,
    48,
    32,
    32,
    '04e1ac559e7d7b9931ed6b231c51c4211c632a4ded8efa06c6ecea583665e0f545515cd179aed78b689cc2d80a8a62e6',
  ],
  ['SHA256', 32, 31, 16, 8, 'b364f0befeec5ff5ac52489b9f12c2de150eaafa29d36378d313e52d254bd4'],
  [
    'SHA384',
    32,
    100,
    32,
    64,
    'e3f5677c5d065f70b3b973cea98eb78e099b55ea36b7752c10e8d02dc6690b912660adef7f8bb0c58dcc846b2b0d52cc1b3bc5b1' +
      '60083b46f92d5c3306344cbb545b9eb1f5a0dda2d06d6bf9143ca84286eec866f03d40d62693c0de58672d9ba14c005f',
  ],
  [
    'SHA512',
    32,
    129,
    32,
    32,
    'ae03d29b2742597d0260a2a7a92bd099737eb0e57a60fec83dc04668f6abfbd564181cca0d9c217873c2fc547e09869530387ba4' +
      'df56088595f4d03c4683a362a9406b63e93e33334fd4356baeab983d74cca146b0e85153cd834740263ebcac8e4e8238ff616240' +
      '769a221d0a137f140b8f804745800d8204f54693839b7dc605',
  ],
  ['AES_CMAC', 16, 16, 16, 32, '35b1f819b6b7fcfca53c4c3d8a7c1c59'],
  ['AES_CMAC', 24, 33, 32, 16, 'a9781edbc2ffa48fb2464923cbb7c184a7d48e538a39c91309af467782b8ee1811'],
  ['AES_CMAC', 32, 32, 32, 64, '834627b80e9dd64423085bdca0d71afc027967bad35607227b0b73fcd52c1dba'],
];

/** The same program: [… , "label" ‖ counter ‖ "context" ‖ L, L ‖ "label" ‖ counter]. */
const orders: readonly [Prf, number, number, number, number, string, string][] = [
  ['SHA_1', 16, 16, 32, 32, '619b1492ac9b49e8395b7af7b75677f1', 'feb0a5f7b8ac6b1946085c375bba14d2'],
  [
    'SHA256',
    32,
    64,
    16,
    16,
    '00ed21dd8011a7ab6c5b10000c433ef8680587ca940a48d745b1b1b9b2dc44723d6d95b8c4646f79d0623420a36475021dd99689' +
      '92e9eda3207601c4804da6bd',
    '8a6712565273d56d74a0610f21f4faf69aa41ca12dcc7a2612201194ce16c632f277abb4838c1c5e12fda8cc35f0063e94300c88' +
      '9752b3be450f1788fd92f8ba',
  ],
  [
    'AES_CMAC',
    32,
    40,
    16,
    32,
    'b8f57405989c163029e19cb68e30e5b7c766cfc5536e450ffb2ad14d238b84cf9176371f020f66ee',
    '96439410b2a925ce672e08b615d6386918b7bc4ec6249d2fb207f24fb72c6e06b3f7f568e49594cb',
  ],
];

describe('the KDF in counter mode of SP 800-108', () => {
  let client: ClusterClient;

  before(async () => {
    client = (await memoryCluster({ hsms: 1 })).connect();
    await client.login('crypto_user', PASSWORD);
  });

  const baseKey = (value: Buffer, keyType: number = CKK.CKK_AES): Promise<number> =>
    Promise.resolve(
      client.createObject([
        attribute(CKA.CKA_CLASS, CKO.CKO_SECRET_KEY),
        attribute(CKA.CKA_KEY_TYPE, keyType),
        attribute(CKA.CKA_VALUE, value),
        attribute(CKA.CKA_DERIVE, true),
      ]),
    );

  const derive = async (
    handle: number,
    prf: Prf | number,
    pDataParams: readonly PrfData[],
    lengthBytes: number,
  ): Promise<string> => {
    const parameter = {
      layout: 'CK_SP800_108_KDF_PARAMS',
      prftype: typeof prf === 'number' ? prf : prfs[prf],
      pDataParams,
    } as const;
    const derived = await client.deriveKey(
      handle,
      { type: CKM.CKM_CLOUDHSM_SP800_108_COUNTER_KDF, parameter },
      [
        attribute(CKA.CKA_CLASS, CKO.CKO_SECRET_KEY),
        attribute(CKA.CKA_KEY_TYPE, CKK.CKK_GENERIC_SECRET),
        attribute(CKA.CKA_VALUE_LEN, lengthBytes),
        attribute(CKA.CKA_SENSITIVE, false),
      ],
    );
    const [value] = await client.send('getAttributes', { handle: derived, types: [CKA.CKA_VALUE] });
    return (value as Buffer).toString('hex');
  };

  // NIST CAVS, KDFCTR_gen: HMAC-SHA-256, counter before the fixed input, 32 bits, COUNT=30.
  it('answers as NIST says', async () => {
    const handle = await baseKey(
      Buffer.from('c4bedbddb66493e7c7259a3bbbc25f8c7e0ca7fe284d92d431d9cd99a0d214ac', 'hex'),
      CKK.CKK_GENERIC_SECRET,
    );
    const fixed = Buffer.from(
      '1c69c54766791e315c2cc5c47ecd3ffab87d0d273dd920e70955814c220eacac' +
        'e6a5946542da3dfe24ff626b4897898cafb7db83bdff3c14fa46fd4b',
      'hex',
    );
    expect(await derive(handle, 'SHA256', [newStyle.counter(32), newStyle.bytes(fixed)], 40)).to.equal(
      '1da47638d6c9c4d04d74d4640bbd42ab814d9e8cc22f4326695239f96b0693f12d0dd1152cf44430',
    );
  });

  for (const [prf, baseLengthBytes, lengthBytes, counterBits, lengthBits, expected] of known) {
    it(`in the old style, with ${prf} and ${baseLengthBytes} bytes of key, ${counterBits} bits of counter and ${lengthBits} of length`, async () => {
      const handle = await baseKey(baseBytes(baseLengthBytes));
      const params = [
        oldStyle.counter(counterBits),
        oldStyle.label('label'),
        oldStyle.context('context'),
        oldStyle.length(lengthBits),
      ];
      expect(await derive(handle, prf, params, lengthBytes)).to.equal(expected);
      // "No matter how the four entries are ordered."
      expect(await derive(handle, prf, params.reverse(), lengthBytes)).to.equal(expected);
      const same = [
        newStyle.counter(counterBits),
        newStyle.bytes('label\0context'),
        newStyle.length(lengthBits),
      ];
      expect(await derive(handle, prf, same, lengthBytes)).to.equal(expected);
    });
  }

  for (const [prf, baseLengthBytes, lengthBytes, counterBits, lengthBits, middle, after] of orders) {
    it(`in the new style in the caller's order, with ${prf}`, async () => {
      const handle = await baseKey(baseBytes(baseLengthBytes));
      const counter = newStyle.counter(counterBits);
      const length = newStyle.length(lengthBits);
      const sample = [newStyle.bytes('label'), counter, newStyle.bytes('context'), length];
      expect(await derive(handle, prf, sample, lengthBytes)).to.equal(middle);
      expect(await derive(handle, prf, [length, newStyle.bytes('label'), counter], lengthBytes)).to.equal(
        after,
      );
    });
  }

  const { counter, length, bytes } = newStyle;
  const old = [oldStyle.counter(32), oldStyle.label('l'), oldStyle.context('c'), oldStyle.length(32)];
  const refused: readonly [string, readonly PrfData[]][] = [
    ['no counter', [bytes('x'), length(32)]],
    ['two counters', [counter(16), counter(16)]],
    ['two lengths', [counter(16), length(16), length(16)]],
    ['nothing', []],
    ['a counter of 8 bits', [counter(8)]],
    ['a counter of 64 bits', [counter(64)]],
    ['a length of 24 bits', [counter(16), length(24)]],
    ['a length too long for its 8 bits', [counter(16), length(8)]],
    ['the length of segments', [counter(16), length(32, 2)]],
    ['a counter format of four bytes', [data(1, Buffer.from([16, 0, 0, 0]))]],
    ['a length format of eight bytes', [counter(16), data(2, ulongs(1))]],
    ['data of an unknown type', [counter(16), data(9, Buffer.alloc(1))]],
    ['both styles', [...old.slice(0, 3), length(32)]],
    ['an old style without context', old.filter(({ type }) => type !== prfDataTypes.SP800_108_PRF_CONTEXT)],
    ['an old style with two labels', [...old, oldStyle.label('again')]],
    ['an old style with a byte array', [...old, data(prfDataTypes.SP800_108_BYTE_ARRAY, Buffer.alloc(1))]],
    ['more data than a request holds', [counter(16), bytes(Buffer.alloc(20_000))]],
  ];
  for (const [what, params] of refused) {
    it(`refuses ${what}`, async () => {
      const handle = await baseKey(baseBytes(32));
      expect(await codeOf(() => derive(handle, 'SHA256', params, 32))).to.equal(
        'CKR_MECHANISM_PARAM_INVALID',
      );
    });
  }

  it('refuses other PRFs, base keys that the PRF cannot take, and too short or too long ones', async () => {
    const params = [counter(16)];
    const aes = await baseKey(baseBytes(32));
    for (const prf of [CKM.CKM_SHA256, CKM.CKM_AES_GCM, 0])
      expect(await codeOf(() => derive(aes, prf, params, 32))).to.equal('CKR_MECHANISM_PARAM_INVALID');
    const generic = await baseKey(baseBytes(32), CKK.CKK_GENERIC_SECRET);
    expect(await codeOf(() => derive(generic, 'AES_CMAC', params, 32))).to.equal('CKR_KEY_TYPE_INCONSISTENT');
    for (const lengthBytes of [15, 33]) {
      const key = await baseKey(baseBytes(lengthBytes), CKK.CKK_GENERIC_SECRET);
      expect(await codeOf(() => derive(key, 'SHA256', params, 32))).to.equal('CKR_KEY_SIZE_RANGE');
    }
  });
});
