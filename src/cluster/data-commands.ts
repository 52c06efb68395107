import type { AnswerOf, CommandName } from '../hsm/commands/index.js';
import type { Mechanism } from '../pkcs11/layouts.js';
import { answerBytes, commandBytes } from './command-frames.js';

/*
 * Commands on data that come again and again in the same words, and what of their frames is the same each time: HSMs answer them
 * (repeated-commands.ts), and clients give them (asked-operation.ts), without JavaScript.
 */

export type DataCommand = 'sign' | 'verify';

interface OnData {
  readonly input: Buffer;
  readonly signature?: Buffer;
}

interface DataRow<N extends DataCommand> {
  /** How much of a request's frame is behind the words. */
  behindBytes(request: OnData): number;
  /** What is answered where there is no output, or none at all: that the signature is right. */
  readonly bareAnswer: AnswerOf<N>;
}

/** Of the data, and of a signature, which follow the words. */
const LENGTH_BYTES = 4;
const NOTHING = Buffer.alloc(0);

/** THE row per command on data that is repeated. */
export const dataCommands: { readonly [N in DataCommand]: DataRow<N> } = {
  sign: { behindBytes: ({ input }) => LENGTH_BYTES + input.length, bareAnswer: NOTHING },
  verify: {
    behindBytes: ({ input, signature = NOTHING }) => 2 * LENGTH_BYTES + input.length + signature.length,
    bareAnswer: true,
  },
};

export const isDataCommand = (name: CommandName): name is DataCommand => name in dataCommands;

/** What a command's frame has behind the id and in front of the data. */
export function wordsOf(name: DataCommand, handle: number, mechanism: Mechanism): Buffer {
  const request = { handle, mechanism, input: NOTHING, signature: NOTHING };
  const all = commandBytes(name, request);
  return all.subarray(0, all.length - dataCommands[name].behindBytes(request));
}

/** The frame, behind its header, that answers a command so; of no request yet. */
export const bareAnswerOf = <N extends DataCommand>(name: N): Buffer =>
  answerBytes<N>(name, dataCommands[name].bareAnswer);
