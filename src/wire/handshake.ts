import { limits } from '../base/limits.js';
import { MalformedFrame, Reader, Writer } from './bytes.js';
import { tableHash } from './table-hash.js';

/*
 * The first frame on a connection, and the answer to it. Their layout, but for what follows the program name, never
 * changes: it is how a module and an engine of different versions tell each other so.
 *
 *   hello    8 bytes "CHSMP11\0", u64 table hash, 16 bytes application token, u32 pid, u16 n, n bytes program name,
 *            u16 n, n bytes absolute path of the application's cloudhsm-pkcs11.cfg, none if it names none
 *   welcome  u32 status, 16 bytes application token, u16 n, n bytes text for a person
 *
 * A token of zeros asks for a new application (C_Initialize); the token from the welcome joins another channel to it.
 *
 * A module that can share memory asks for it with the next frame, which no request can be mistaken for:
 *
 *   share    8 bytes "CHSMMEM\0", u32 version of the memory's layout
 *   offer    u32 version, u32 channels, u32 bytes of each
 *
 * Channels: the descriptor of the memory comes along with the offer (SCM_RIGHTS). The connection's frames travel in
 * it from now on (native/shared/channel-layout.h), and on the socket nothing but a byte of the module's, any, that
 * wakes the engine; when either closes the socket, the memory is given up. No channels: the engine shares no memory,
 * and requests follow on the socket, as they do where the module did not ask.
 */
const MAGIC = Buffer.from('CHSMP11\0', 'latin1');
const SHARE_MAGIC = Buffer.from('CHSMMEM\0', 'latin1');
export const TOKEN_BYTES = 16;
const PROGRAM_NAME_BYTES = 256;
const TEXT_BYTES = 1024;

export const handshakeStatus = {
  accepted: 0,
  otherTables: 1,
  unknownApplication: 2,
  tooMany: 3,
  badConfiguration: 4,
  noHsm: 5,
} as const;
export type HandshakeStatus = keyof typeof handshakeStatus;

export interface Hello {
  readonly tableHash: bigint;
  /** undefined: a new application. */
  readonly token: Buffer | undefined;
  readonly pid: number;
  readonly program: string;
  /** The cloudhsm-pkcs11.cfg that the application names. */
  readonly configFile: string | undefined;
}

export interface Welcome {
  readonly status: HandshakeStatus;
  readonly token: Buffer;
  readonly text: string;
}

/** Reads a hello. Throws MalformedFrame, also for a peer that speaks something else. */
export function readHello(frame: Buffer): Hello {
  const reader = new Reader(frame);
  if (!reader.bytes(MAGIC.length).equals(MAGIC)) throw new MalformedFrame('the peer is no CloudHSM module');
  const hash = reader.bytes(8).readBigUInt64LE();
  const token = reader.bytes(TOKEN_BYTES);
  const pid = reader.u32();
  const nameBytes = reader.u16();
  if (nameBytes > PROGRAM_NAME_BYTES) throw new MalformedFrame('a program name too long');
  const program = reader
    .bytes(nameBytes)
    .toString('utf8')
    .replace(/[^\x20-\x7e]/g, '?');
  const head = {
    tableHash: hash,
    token: token.every((byte) => byte === 0) ? undefined : token,
    pid,
    program,
    configFile: undefined,
  };
  // Of a module of another version only the head is known.
  if (hash !== tableHash) return head;
  const pathBytes = reader.u16();
  if (pathBytes > limits.pathBytes) throw new MalformedFrame('a path too long');
  const path = reader.bytes(pathBytes).toString('utf8');
  reader.end();
  return path === '' ? head : { ...head, configFile: path };
}

export function writeHello(
  hello: Pick<Hello, 'token' | 'pid' | 'program'> & Partial<Pick<Hello, 'tableHash' | 'configFile'>>,
): Buffer {
  const writer = new Writer(128);
  const hash = Buffer.alloc(8);
  hash.writeBigUInt64LE(hello.tableHash ?? tableHash);
  const program = Buffer.from(hello.program).subarray(0, PROGRAM_NAME_BYTES);
  writer.bytes(MAGIC);
  writer.bytes(hash);
  writer.bytes(hello.token ?? Buffer.alloc(TOKEN_BYTES));
  writer.u32(hello.pid);
  writer.u16(program.length);
  writer.bytes(program);
  const path = Buffer.from(hello.configFile ?? '');
  writer.u16(path.length);
  writer.bytes(path);
  return writer.finish();
}

export function writeWelcome(welcome: Welcome): Buffer {
  const writer = new Writer(128);
  const text = Buffer.from(welcome.text).subarray(0, TEXT_BYTES);
  writer.u32(handshakeStatus[welcome.status]);
  writer.bytes(welcome.token);
  writer.u16(text.length);
  writer.bytes(text);
  return writer.finish();
}

export function readWelcome(frame: Buffer): Welcome {
  const reader = new Reader(frame);
  const code = reader.u32();
  const status = (Object.keys(handshakeStatus) as HandshakeStatus[]).find(
    (name) => handshakeStatus[name] === code,
  );
  if (status === undefined) throw new MalformedFrame('an unknown handshake status');
  const token = reader.bytes(TOKEN_BYTES);
  const text = reader.bytes(reader.u16()).toString('utf8');
  reader.end();
  return { status, token, text };
}

/** Whether a frame asks for shared memory: it is a request otherwise. */
export function isShare(frame: Buffer): boolean {
  return frame.length >= SHARE_MAGIC.length && SHARE_MAGIC.compare(frame, 0, SHARE_MAGIC.length) === 0;
}

/** The version of the memory's layout that the module knows. Throws MalformedFrame. */
export function readShare(frame: Buffer): number {
  const reader = new Reader(frame);
  reader.bytes(SHARE_MAGIC.length);
  const layoutVersion = reader.u32();
  reader.end();
  return layoutVersion;
}

export interface Offer {
  readonly layoutVersion: number;
  /** 0: no memory is shared. */
  readonly channels: number;
  readonly channelBytes: number;
}

export function writeOffer({ layoutVersion, channels, channelBytes }: Offer): Buffer {
  const writer = new Writer(16);
  writer.u32(layoutVersion);
  writer.u32(channels);
  writer.u32(channelBytes);
  return writer.finish();
}
