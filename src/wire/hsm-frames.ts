import { clusterModes, hsmTypes } from '../base/cluster-kind.js';
import { limits } from '../base/limits.js';
import { MalformedFrame, Reader, Writer } from './bytes.js';
import { flag, list, oneOf, optional, record, type Shape, text, u32, u64 } from './shapes.js';

/*
 * Frames between a client and an HSM, inside TLS, each behind its u32 length. The first one each way is the hello and the
 * welcome; then, in any order:
 *
 *   client  request  u8 1, u32 id, u16 command, cause?, the request as the command's row says
 *           ping     u8 2
 *           leave    u8 5, when no request is under way: its application has ended, and with it what the HSM had of it
 *   HSM     answer   u8 1, u32 id, deviations that were allowed, u8 outcome, then by the outcome:
 *                    0 done     the answer as the command's row says
 *                    1 refused  code, text
 *                    2 not now  reason, text
 *           pong     u8 2
 *           members  u8 3, the cluster's HSMs: once after the welcome, and whenever they change
 *           changed  u8 4, u64 handle of a token object that it has described on this connection; 0: of any
 *           left     u8 5, the last one: what follows begins with another application's hello
 *
 * Requests are answered as they are done, not in their order: the id, which the client chooses, tells whose an answer is.
 */

const HELLO_MAGIC = Buffer.from('CHSMHSM\0', 'latin1');
const text4096 = text(limits.failureTextBytes);
const name = text(limits.nameBytes);

export const frameKinds = { call: 1, beat: 2, members: 3, changed: 4, leave: 5 } as const;
/** `limited`: refused for what lasts, by limited-write mode. */
export const outcomes = ['done', 'refused', 'unavailable', 'limited'] as const;

export const welcomeStatus = oneOf('accepted', 'otherTables', 'tooMany', 'notAdmitted');
const welcome = record({ status: welcomeStatus, hsmId: name, text: text4096 });
export type HsmWelcome = ReturnType<typeof welcome.read>;

/** One HSM of a cluster, as clients and its peers find it. */
const member = record({ id: name, ordinal: u32, eniIp: name, port: u32 });
export type Member = ReturnType<typeof member.read>;
const members = record({
  version: u32,
  clusterId: name,
  hsmType: oneOf(...hsmTypes),
  mode: oneOf(...clusterModes),
  hsms: list(member, limits.hsmsPerCluster),
});
/** A cluster and its HSMs; the version grows whenever one comes or goes. */
export type Members = ReturnType<typeof members.read>;

/** Why an HSM does nothing for anybody at the moment. */
export const unavailabilities = ['unreachable', 'throttled', 'joining', 'zeroised'] as const;
export type Unavailability = (typeof unavailabilities)[number];

export const deviationList = list(name, limits.deviationsPerCommand);
export const refusal = record({ code: name, text: text4096 });
export const unavailability = record({ reason: oneOf(...unavailabilities), text: text4096 });
export const causeShape = optional(name);
export const requestId = u32;

const clientSwitches = record({
  certificateStorage: optional(flag),
  ecdhWithoutKdf: optional(flag),
  sessionWrappingKeys: optional(flag),
  asCloudHsm: optional(flag),
});
/** What CloudHSM leaves to a client, in place of the HSM's own setting; undefined: the HSM's is in force. `asCloudHsm`: the client
 * wants CloudHSM's own answers, whatever the HSM's profile. */
export type ClientSwitches = Partial<ReturnType<typeof clientSwitches.read>>;

const hsmHello = record({ switches: clientSwitches, watches: flag });

export interface HsmHello {
  /** The fingerprint of the client's table. */
  readonly tableHash: bigint;
  readonly switches: ClientSwitches;
  /** It only learns which HSMs there are, and is none of the clients that an HSM has room for. */
  readonly watches: boolean;
}

export function writeHsmHello(tableHash: bigint, switches: ClientSwitches = {}, watches = false): Buffer {
  const hash = Buffer.alloc(8);
  hash.writeBigUInt64LE(tableHash);
  const { certificateStorage, ecdhWithoutKdf, sessionWrappingKeys, asCloudHsm } = switches;
  const rest = { switches: { certificateStorage, ecdhWithoutKdf, sessionWrappingKeys, asCloudHsm }, watches };
  return Buffer.concat([HELLO_MAGIC, hash, written(hsmHello, rest)]);
}

/** Throws MalformedFrame for a peer that speaks something else. */
export function readHsmHello(frame: Buffer): HsmHello {
  const reader = new Reader(frame);
  if (!reader.bytes(HELLO_MAGIC.length).equals(HELLO_MAGIC)) throw new MalformedFrame('no client of an HSM');
  const tableHash = reader.bytes(8).readBigUInt64LE();
  return { tableHash, ...readRest(hsmHello, reader) };
}

function written<T>(shape: Shape<T>, value: T, kind?: number): Buffer {
  const writer = new Writer(256);
  if (kind !== undefined) writer.u8(kind);
  shape.write(writer, value);
  return writer.finish();
}

/** Reads what is left of a frame as one value. Throws MalformedFrame. */
export function readRest<T>(shape: Shape<T>, reader: Reader): T {
  const value = shape.read(reader);
  reader.end();
  return value;
}

export const writeHsmWelcome = (value: HsmWelcome): Buffer => written(welcome, value);
export const readHsmWelcome = (frame: Buffer): HsmWelcome => readRest(welcome, new Reader(frame));
export const writeMembers = (value: Members): Buffer => written(members, value, frameKinds.members);
export const readMembers = (reader: Reader): Members => readRest(members, reader);
export const changedHandle = u64;
export const writeChanged = (handle: number): Buffer => written(changedHandle, handle, frameKinds.changed);
export const beat: Buffer = Buffer.from([frameKinds.beat]);
/** Both ways. */
export const leave: Buffer = Buffer.from([frameKinds.leave]);

/** Cuts a text so that it fits: it is for people. */
export const fitting = (value: string): string => value.slice(0, limits.failureTextBytes / 4);
