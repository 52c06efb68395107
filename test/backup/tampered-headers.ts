import { type TamperRow, u16At, u32At, withField, withHeader } from './forging.js';

const unwraps = /^the EBK does not unwrap$/;
const otherHeader = /^chunk 0: it belongs to another header$/;

/** Cases of the clear text in front. */
export const tamperedHeaders: readonly TamperRow[] = [
  {
    case: 4,
    what: 'another magic',
    tamper: ({ header }) => u16At(header, 0, 0),
    says: /no backup of an HSM/,
  },
  { case: 4, what: 'a later version', tamper: ({ header }) => u16At(header, 8, 2), says: /version 2/ },
  { case: 4, what: 'version 0', tamper: ({ header }) => u16At(header, 8, 0), says: /version 0/ },
  { case: 4, what: 'another suite', tamper: ({ header }) => u16At(header, 10, 2), says: /suite 2/ },
  { case: 4, what: 'suite 0', tamper: ({ header }) => u16At(header, 10, 0), says: /suite 0/ },
  {
    case: 5,
    what: 'a header without room for its parts',
    tamper: ({ header }) => u32At(header, 12, 79),
    says: /header has 79/,
  },
  {
    case: 5,
    what: 'a header that is too long',
    tamper: ({ header }) => u32At(header, 12, 4097),
    says: /header has 4097/,
  },
  {
    case: 5,
    what: 'an unknown field',
    tamper: (parts) => withField(parts, 11, Buffer.from('x')),
    says: /field 11/,
  },
  {
    case: 5,
    what: 'a field of type 0',
    tamper: (parts) => withField(parts, 0, Buffer.from('x'), 40),
    says: /field 0/,
  },
  {
    case: 5,
    what: 'a field twice',
    tamper: (parts) => withField(parts, 8, Buffer.alloc(4)),
    says: /field 8 .* twice/,
  },
  {
    case: 5,
    what: 'fields out of order',
    tamper: (parts) => withField(parts, 9, Buffer.from('x'), 40),
    says: /field 1 .* out of place/,
  },
  {
    case: 5,
    what: 'a field that is longer than the header',
    tamper: ({ header }) => u16At(header, 42, 0xffff),
    says: /manufacturerId .* malformed/,
  },
  {
    case: 5,
    what: 'a field that reaches into the wrapped EBK',
    tamper: ({ header }) => u16At(header, header.length - 40 - 6, 8),
    says: /stateSchemaVersion .* malformed/,
  },
  {
    case: 5,
    what: 'a cut field',
    tamper: (parts) => {
      withField(parts, 9, Buffer.from('x'));
      parts.header = Buffer.concat([parts.header.subarray(0, -43), parts.header.subarray(-40)]);
      u32At(parts.header, 12, parts.header.length);
    },
    says: /cut off/,
  },
  {
    case: 5,
    what: 'a field missing',
    tamper: (parts) => withHeader(parts, { stateSchemaVersion: undefined as never }),
    says: /no stateSchemaVersion/,
  },
  {
    case: 5,
    what: 'a text with control characters',
    tamper: (parts) => withHeader(parts, { clusterId: 'cluster\n' }),
    says: /clusterId .* malformed/,
  },
  {
    case: 5,
    what: 'a type of HSM that there is not',
    tamper: (parts) => withHeader(parts, { hsmType: 'hsm9.large' as never }),
    says: /hsmType .* malformed/,
  },
  {
    case: 5,
    what: 'chunks that are too small',
    tamper: ({ header }) => u32At(header, 32, 63),
    says: /chunks of 63/,
  },
  {
    case: 5,
    what: 'chunks that are too large',
    tamper: ({ header }) => u32At(header, 32, 0x80000000),
    says: /chunks of 2147483648/,
  },
  {
    case: 5,
    what: 'more chunks than an HSM holds',
    tamper: ({ header }) => u32At(header, 36, 0xffffffff),
    says: /4294967295 chunks/,
  },
  {
    case: 6,
    what: 'another manufacturer in the header',
    tamper: (parts) => withHeader(parts, { manufacturerId: 'SIM-OTHER' }),
    says: /HSMs of SIM-OTHER/,
  },
  {
    case: 8,
    what: 'another mkbkVersion that there is',
    tamper: (parts) => withHeader(parts, { mkbkVersion: 2 }),
    logs: unwraps,
  },
  {
    case: 8,
    what: 'another akbkVersion that there is',
    tamper: (parts) => withHeader(parts, { akbkVersion: 2 }),
    logs: unwraps,
  },
  {
    case: 8,
    what: 'an mkbkVersion that there is not',
    tamper: (parts) => withHeader(parts, { mkbkVersion: 3 }),
    logs: /no MKBK 3/,
  },
  {
    case: 9,
    what: 'another mode',
    tamper: (parts) => withHeader(parts, { mode: 'NON_FIPS' }),
    logs: otherHeader,
  },
  {
    case: 9,
    what: 'another type of HSM',
    tamper: (parts) => withHeader(parts, { hsmType: 'hsm1.medium' }),
    logs: otherHeader,
  },
  {
    case: 9,
    what: 'another cluster',
    tamper: (parts) => withHeader(parts, { clusterId: 'cluster-aaaaaaaaaaa' }),
    logs: otherHeader,
  },
  {
    case: 9,
    what: 'another time',
    tamper: (parts) => withHeader(parts, { createdAtMs: 1 }),
    logs: otherHeader,
  },
  {
    case: 9,
    what: 'another schema',
    tamper: (parts) => withHeader(parts, { stateSchemaVersion: 2 }),
    logs: otherHeader,
  },
  {
    case: 9,
    what: 'another nonce',
    tamper: (parts) => withHeader(parts, { nonce: Buffer.alloc(16) }),
    logs: otherHeader,
  },
  {
    case: 9,
    what: 'another size of chunks',
    tamper: (parts) => withHeader(parts, { chunkSizeBytes: 128 }),
    logs: otherHeader,
  },
];
