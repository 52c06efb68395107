import { EBK_BYTES } from '../../src/backup/container.js';
import { decodeHeader, encodeHeader, type Header, headerLength } from '../../src/backup/header.js';
import { aesKeyUnwrap, aesKeyWrap, importSecretKey } from '../../src/crypto/index.js';
import { counting } from './support.js';

/** A backup in its parts. */
export interface Parts {
  header: Buffer;
  /** Each with its length in front. */
  chunks: Buffer[];
  tail: Buffer;
}

export function partsOf(backup: Buffer): Parts {
  const header = Buffer.from(backup.subarray(0, headerLength(backup)));
  const chunks: Buffer[] = [];
  for (let at = header.length; at < backup.length; ) {
    const end = at + 4 + backup.readUInt32BE(at);
    chunks.push(Buffer.from(backup.subarray(at, end)));
    at = end;
  }
  return { header, chunks, tail: Buffer.alloc(0) };
}

export const joined = ({ header, chunks, tail }: Parts): Buffer => Buffer.concat([header, ...chunks, tail]);

export const withHeader = (parts: Parts, change: Partial<Header>): void => {
  parts.header = encodeHeader({ ...decodeHeader(parts.header), ...change });
};

export const u16At = (bytes: Buffer, at: number, value: number): void => void bytes.writeUInt16BE(value, at);
export const u32At = (bytes: Buffer, at: number, value: number): void => void bytes.writeUInt32BE(value, at);

/** Inserts a field behind the last one, or wherever `at` says. */
export function withField(parts: Parts, type: number, value: Buffer, at = parts.header.length - 40): void {
  const head = Buffer.alloc(4);
  u16At(head, 0, type);
  u16At(head, 2, value.length);
  parts.header = Buffer.concat([parts.header.subarray(0, at), head, value, parts.header.subarray(at)]);
  u32At(parts.header, 12, parts.header.length);
}

export const ebkOfAll = counting(0x40, EBK_BYTES);

/** Changes what is inside a chunk as one could who knows the EBK. */
export function insideOf(
  parts: Parts,
  index: number,
  change: (plaintext: Buffer) => Buffer | undefined,
): void {
  const ebk = importSecretKey(ebkOfAll);
  const plaintext = aesKeyUnwrap('KWP', ebk, parts.chunks[index]!.subarray(4));
  const wrapped = aesKeyWrap('KWP', ebk, change(plaintext) ?? plaintext);
  const length = Buffer.alloc(4);
  u32At(length, 0, wrapped.length);
  parts.chunks[index] = Buffer.concat([length, wrapped]);
}

/** A case of the table in reference control-plane-and-backups, section 12.6. */
export interface TamperRow {
  readonly case: number;
  readonly what: string;
  readonly tamper: (parts: Parts, other: Parts) => void;
  /** What is said to whoever asked, where the clear text tells, or to the log alone. */
  readonly says?: RegExp;
  readonly logs?: RegExp;
}
