import type { Socket } from 'node:net';
import { addonPart } from '../base/addon.js';
import { type Eventually, isPromise } from '../base/eventually.js';
import { limits } from '../base/limits.js';
import type { KeyCarrier, MadeKeys, MakeTerms } from '../cryptoki/repeated-keys.js';
import type { Begun, Repeater, RepeatTerms } from '../cryptoki/repeats.js';
import { sessionWords } from '../cryptoki/search.js';
import type { SessionSharer } from '../cryptoki/shared-sessions.js';
import { MalformedFrame } from '../wire/bytes.js';
import { type CallRow, calls, numberOfCall } from '../wire/calls.js';
import { framed } from '../wire/frames.js';
import { writeOffer } from '../wire/handshake.js';

/** native/addon/transport/transport.h */
interface NativeTransport {
  open(socketFd: number, offer: Buffer, owner: number): number | undefined;
  wake(group: number): void;
  answer(group: number, channel: number, answer: Buffer): void;
  close(group: number): void;
  repeat(terms: RepeatTerms & { readonly owner: number }): number;
  take(owner: number, request: Buffer): Buffer | undefined;
  endRepeat(repeat: number): Begun | undefined;
  share(owner: number, session: number, words: Float64Array): void;
  unshare(owner: number, session: number): void;
  makeKeys(terms: MakeTerms & { readonly owner: number }): number;
  /** Numbers, and what was done of each, in turns. */
  collectKeys(): (number | MadeKeys)[] | undefined;
  endKeys(keys: number): MadeKeys | undefined;
  settle(): void;
  operationsOfThreads(): number;
  operationsAsked(): number;
  lendReads(changes: Float64Array, uses: Float64Array): number;
  endReads(lease: number): void;
  keep(owner: number, request: Buffer, answer: Buffer, changesAt: number): void;
}

/** Calls that are answered where nothing is left to be decided, by their numbers, and whether one that was not has come before. */
interface DecidedCalls {
  readonly find: number;
  readonly findFinal: number;
  readonly read: number;
  readonly cameAgain: Uint8Array;
  readonly words: typeof sessionWords;
}

interface NativePart {
  readonly Transport: new (
    inbox: Buffer,
    frameBytes: number,
    onRequest: (group: number, channel: number, lengthBytes: number, large?: Buffer) => Buffer | undefined,
    onFault: (group: number) => void,
    onEnded: (repeat: number, begun: Begun | undefined) => void,
    decided: DecidedCalls,
  ) => NativeTransport;
  release(frame: Buffer): void;
  readonly layoutVersion: number;
  readonly channels: number;
  readonly channelBytes: number;
  readonly inboxBytes: number;
  readonly longestIvBytes: number;
}

/** Who answers the frames of a group of channels. */
export interface Receiver {
  /** May throw or reject: then the group is not served any more, and `fail` is called. */
  receive(frame: Buffer, channel: number): Eventually<Buffer>;
  fail(error: unknown): void;
}

export interface SharedGroup {
  /** A byte came on the connection: the module has rung while nobody looked. */
  wake(): void;
  /** The connection is gone. */
  close(): void;
}

const native = addonPart<NativePart>('transport');
/** Channels in the memory of one connection. */
export const sharedChannels = native.channels;
const inbox = Buffer.alloc(native.inboxBytes);
const receivers = new Map<number, Receiver>();
/** What is to be told of the end of a repeat. */
const repeats = new Map<number, (begun: Begun | undefined) => void>();

/** The descriptor that net keeps to itself: there is no other way to pass one through a socket. */
function descriptorOf(socket: Socket): number {
  const handle = (socket as { _handle?: { fd?: number } })._handle;
  return handle?.fd ?? -1;
}

/** A request's own bytes: operations keep parts of it longer than the inbox keeps it. */
function copyOfInbox(lengthBytes: number): Buffer {
  const frame = Buffer.allocUnsafe(lengthBytes);
  inbox.copy(frame, 0, 0, lengthBytes);
  return frame;
}

/** Data of any length would be collected late: V8 looks through its whole heap for it. */
function release(frame: Buffer): void {
  const call: CallRow | undefined = calls[frame.readUInt16LE(0)];
  if (call?.pieces !== undefined) native.release(frame);
}

function failed(group: number, error: unknown): undefined {
  receivers.get(group)?.fail(error);
  close(group);
}

function onRequest(group: number, channel: number, lengthBytes: number, large?: Buffer): Buffer | undefined {
  const receiver = receivers.get(group);
  if (receiver === undefined) return undefined;
  try {
    const answer = receiver.receive(large ?? copyOfInbox(lengthBytes), channel);
    if (!isPromise(answer)) {
      if (large !== undefined) release(large);
      return answer;
    }
    answer.then(
      (later) => {
        if (large !== undefined) release(large);
        transport.answer(group, channel, later);
      },
      (error) => failed(group, error),
    );
    return undefined;
  } catch (error) {
    return failed(group, error);
  }
}

function close(group: number): void {
  if (receivers.delete(group)) transport.close(group);
}

function onEnded(repeat: number, begun: Begun | undefined): void {
  const ended = repeats.get(repeat);
  repeats.delete(repeat);
  ended?.(begun);
}

const cameAgain = new Uint8Array(1);

/** There is one event loop to look at channels in, so there is one of it. */
const transport = new native.Transport(
  inbox,
  limits.frameBytes,
  onRequest,
  (group) => failed(group, new MalformedFrame('what the module wrote to its shared memory')),
  onEnded,
  {
    find: numberOfCall('C_FindObjects'),
    findFinal: numberOfCall('C_FindObjectsFinal'),
    read: numberOfCall('C_GetAttributeValue'),
    cameAgain,
    words: sessionWords,
  },
);

/** Who is to be told of keys that were made. */
const making = new Map<number, (made: MadeKeys) => void>();

function collectKeys(): void {
  if (making.size === 0) return;
  const all = transport.collectKeys() ?? [];
  for (let at = 0; at < all.length; at += 2) making.get(all[at] as number)?.(all[at + 1] as MadeKeys);
}

/** Answers frames of an application by itself: those in memory, and others that `repeated` is asked about. */
export const carrierOf = (owner: number): Repeater & SessionSharer & KeyCarrier => ({
  longestIvBytes: native.longestIvBytes,
  settle: () => transport.settle(),
  start: (terms, whenEnded) => {
    const longestInputBytes = Math.min(terms.longestInputBytes, limits.frameBytes);
    const repeat = transport.repeat({ ...terms, owner, longestInputBytes });
    repeats.set(repeat, whenEnded);
    return () => {
      repeats.delete(repeat);
      return transport.endRepeat(repeat);
    };
  },
  makeKeys: (terms, told) => {
    const keys = transport.makeKeys({ ...terms, owner });
    making.set(keys, told);
    return () => {
      making.delete(keys);
      const made = transport.endKeys(keys);
      if (made !== undefined) told(made);
    };
  },
  collectKeys,
  share: (session, words) => {
    transport.share(owner, session, words);
    return () => transport.unshare(owner, session);
  },
  lend: ({ changes, uses }) => transport.lendReads(changes, uses),
  endLoan: (loan) => transport.endReads(loan),
  hasComeAgain: () => cameAgain[0] === 1,
  keep: (frame, answer, changesAt) => transport.keep(owner, frame, answer, changesAt),
});

/** The answer to a frame of an application that needs no JavaScript. */
export const repeated = (owner: number, frame: Buffer): Buffer | undefined => transport.take(owner, frame);

/** How many operations of programs have run on threads beside the event loop's. */
export const operationsOfThreads = (): number => transport.operationsOfThreads();

/** How many HSMs elsewhere were asked for without JavaScript, and have run. */
export const operationsAsked = (): number => transport.operationsAsked();

/** An offer without memory: frames go on over the socket. */
export const noOffer: Buffer = writeOffer({
  layoutVersion: native.layoutVersion,
  channels: 0,
  channelBytes: 0,
});

/**
 * Makes memory for a group of channels and passes it to the module at the other end of the socket, along with an
 * offer. From then on frames come through the memory, and a byte on the socket only rings. Returns undefined where
 * this machine, or this module, cannot share memory: then nothing was sent. `owner` is the application's number.
 * @throws MalformedFrame where the module did not leave room for an offer
 */
export function shareMemory(
  socket: Socket,
  layoutVersion: number,
  owner: number,
  receiver: Receiver,
): SharedGroup | undefined {
  if (layoutVersion !== native.layoutVersion) return undefined;
  const { channels, channelBytes } = native;
  const offer = writeOffer({ layoutVersion, channels, channelBytes });
  const group = transport.open(descriptorOf(socket), framed(offer), owner);
  if (group === undefined) return undefined;
  if (group < 0) throw new MalformedFrame('the module does not take the offer of shared memory');
  receivers.set(group, receiver);
  return { wake: () => transport.wake(group), close: () => close(group) };
}
