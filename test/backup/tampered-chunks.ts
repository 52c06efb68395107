import { CHUNK_HEAD_BYTES } from '../../src/backup/container.js';
import { decodeHeader } from '../../src/backup/header.js';
import { randomBytes } from '../../src/crypto/index.js';
import { insideOf, type TamperRow, u32At, withHeader } from './forging.js';

const otherHeader = /^chunk 0: it belongs to another header$/;

/** Cases of the chunks, and of what does not belong together. */
export const tamperedChunks: readonly TamperRow[] = [
  {
    case: 10,
    what: "another backup's EBK",
    tamper: (parts, other) => withHeader(parts, { wrappedEbk: decodeHeader(other.header).wrappedEbk }),
    logs: /^chunk 0: it does not unwrap$/,
  },
  {
    case: 11,
    what: 'a changed chunk',
    tamper: ({ chunks }) => {
      chunks[1]![20]! ^= 1;
    },
    logs: /^chunk 1: it does not unwrap$/,
  },
  {
    case: 11,
    what: 'a chunk cut by a semiblock',
    tamper: ({ chunks }) => {
      chunks[1] = chunks[1]!.subarray(0, -8);
      u32At(chunks[1], 0, chunks[1].length - 4);
    },
    logs: /^chunk 1: it does not unwrap$/,
  },
  {
    case: 11,
    what: 'a chunk cut by a byte',
    tamper: ({ chunks }) => {
      chunks[1] = chunks[1]!.subarray(0, -1);
      u32At(chunks[1], 0, chunks[1].length - 4);
    },
    logs: /^chunk 1: it does not unwrap$/,
  },
  {
    case: 11,
    what: 'a length that is too small',
    tamper: ({ chunks }) => u32At(chunks[1]!, 0, 8),
    logs: /^chunk 1: it does not unwrap$/,
  },
  {
    case: 11,
    what: 'a length that is too large',
    tamper: ({ chunks }) => u32At(chunks[1]!, 0, 0xffffffff),
    logs: /^chunk 1: 4294967295 bytes$/,
  },
  {
    case: 12,
    what: 'chunks swapped',
    tamper: (parts) => {
      const [a, b, ...rest] = parts.chunks;
      parts.chunks = [b!, a!, ...rest];
    },
    logs: /^chunk 0: it is at another place$/,
  },
  {
    case: 12,
    what: 'a chunk twice',
    tamper: ({ chunks }) => {
      chunks.splice(1, 0, chunks[0]!);
    },
    logs: /^chunk 1: it is at another place$/,
  },
  {
    case: 12,
    what: 'a chunk dropped',
    tamper: ({ chunks }) => {
      chunks.splice(1, 1);
    },
    logs: /^chunk 1: it is at another place$/,
  },
  {
    case: 12,
    what: 'a chunk inserted',
    tamper: ({ chunks }, other) => {
      chunks.splice(1, 0, other.chunks[1]!);
    },
    logs: /^chunk 1: it does not unwrap$/,
  },
  {
    case: 13,
    what: 'no trailer',
    tamper: ({ chunks }) => {
      chunks.pop();
    },
    says: /cut off/,
  },
  {
    case: 13,
    what: 'no trailer, and a count to go with it',
    tamper: (parts) => {
      parts.chunks.pop();
      withHeader(parts, { chunkCount: parts.chunks.length });
    },
    logs: otherHeader,
  },
  {
    case: 13,
    what: 'something behind the trailer',
    tamper: (parts) => {
      parts.tail = Buffer.from([0]);
    },
    says: /behind its end/,
  },
  {
    case: 13,
    what: 'the trailer twice',
    tamper: (parts) => {
      parts.tail = parts.chunks.at(-1)!;
    },
    says: /behind its end/,
  },
  {
    case: 13,
    what: 'the flag of the last chunk too early',
    tamper: (parts) =>
      insideOf(parts, 1, (inside) => {
        u32At(inside, 4, 1);
        return undefined;
      }),
    logs: /^chunk 1: its flags are wrong$/,
  },
  {
    case: 13,
    what: 'a last chunk without its flag',
    tamper: (parts) =>
      insideOf(parts, parts.chunks.length - 1, (inside) => {
        u32At(inside, 4, 0);
        return undefined;
      }),
    logs: /^chunk 4: its flags are wrong$/,
  },
  {
    case: 13,
    what: 'a flag that there is not',
    tamper: (parts) =>
      insideOf(parts, 0, (inside) => {
        u32At(inside, 4, 2);
        return undefined;
      }),
    logs: /^chunk 0: its flags are wrong$/,
  },
  {
    case: 13,
    what: 'another length in the trailer',
    tamper: (parts) =>
      insideOf(parts, parts.chunks.length - 1, (inside) => {
        inside[47]! ^= 1;
        return undefined;
      }),
    logs: /^chunk 4: the trailer says otherwise$/,
  },
  {
    case: 13,
    what: 'another hash in the trailer',
    tamper: (parts) =>
      insideOf(parts, parts.chunks.length - 1, (inside) => {
        inside[60]! ^= 1;
        return undefined;
      }),
    logs: /^chunk 4: the trailer says otherwise$/,
  },
  {
    case: 13,
    what: 'another content under the same trailer',
    tamper: (parts) =>
      insideOf(parts, 0, (inside) => {
        inside[50]! ^= 1;
        return undefined;
      }),
    logs: /^chunk 4: the trailer says otherwise$/,
  },
  {
    case: 14,
    what: 'a chunk of another backup',
    tamper: ({ chunks }, other) => {
      chunks[1] = other.chunks[1]!;
    },
    logs: /^chunk 1: it does not unwrap$/,
  },
  {
    case: 15,
    what: "the header on another backup's chunks",
    tamper: (parts, other) => {
      parts.chunks = other.chunks;
    },
    logs: /^chunk 0: it does not unwrap$/,
  },
  {
    case: 15,
    what: 'a header with another nonce on the chunks of the same EBK',
    tamper: (parts) => withHeader(parts, { nonce: randomBytes(16) }),
    logs: otherHeader,
  },
  { case: 16, what: 'no chunks', tamper: ({ header }) => u32At(header, 36, 0), says: /nothing in it/ },
  { case: 16, what: 'a trailer alone', tamper: ({ header }) => u32At(header, 36, 1), says: /nothing in it/ },
  {
    case: 16,
    what: 'a chunk of 0 bytes',
    tamper: ({ chunks }) => {
      chunks[1] = Buffer.alloc(4);
    },
    logs: /^chunk 1: it does not unwrap$/,
  },
  {
    case: 16,
    what: 'a chunk without a payload',
    tamper: (parts) => insideOf(parts, 1, (inside) => inside.subarray(0, CHUNK_HEAD_BYTES)),
    logs: /^chunk 1: it is empty$/,
  },
  {
    case: 16,
    what: 'a chunk shorter than its head',
    tamper: (parts) => insideOf(parts, 1, (inside) => inside.subarray(0, 7)),
    logs: /^chunk 1: it is empty$/,
  },
  {
    case: 16,
    what: 'a chunk in the middle that is not full',
    tamper: (parts) => insideOf(parts, 1, (inside) => inside.subarray(0, -1)),
    logs: /^chunk 1: it is not full$/,
  },
  {
    case: 16,
    what: 'a chunk with more than fits',
    tamper: (parts) => insideOf(parts, 1, (inside) => Buffer.concat([inside, Buffer.alloc(8)])),
    logs: /^chunk 1: it is not full$/,
  },
];
