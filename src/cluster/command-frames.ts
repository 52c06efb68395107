import { limits } from '../base/limits.js';
import { commandNumbers, forms } from '../hsm/commands/forms.js';
import type { AnswerOf, CommandName, RequestOf } from '../hsm/commands/index.js';
import { Writer } from '../wire/bytes.js';
import { beginFrame, endFrame, HEADER_BYTES } from '../wire/frames.js';
import { causeShape, deviationList, frameKinds, outcomes, requestId } from '../wire/hsm-frames.js';

/* What is in the frames of commands and of their answers, behind their headers. */

/** What a request's frame begins with: its kind and its id. */
export const REQUEST_HEAD_BYTES = 1 + 4;

export function writeRequestHead(writer: Writer, id: number): void {
  writer.u8(frameKinds.call);
  requestId.write(writer, id);
}

/** Behind the head. */
export function writeCommand<N extends CommandName>(
  writer: Writer,
  name: N,
  request: RequestOf<N>,
  cause: string | undefined,
): void {
  writer.u16(commandNumbers.get(name)!);
  causeShape.write(writer, cause);
  (forms[name].request.write as (to: Writer, request: RequestOf<N>) => void)(writer, request);
}

/** An outcome follows. */
export function writeAnswerHead(writer: Writer, id: number, deviations: readonly string[]): void {
  writeRequestHead(writer, id);
  deviationList.write(writer, deviations);
}

export function writeDone<N extends CommandName>(writer: Writer, name: N, answer: AnswerOf<N>): void {
  writer.u8(outcomes.indexOf('done'));
  (forms[name].answer.write as (to: Writer, answer: AnswerOf<N>) => void)(writer, answer);
}

const writer = new Writer(1024, limits.hsmFrameBytes + HEADER_BYTES);

/** A copy of what `write` writes. */
function written(write: () => void, end: () => Buffer): Buffer {
  try {
    write();
    return Buffer.from(end());
  } catch (error) {
    writer.discard();
    throw error;
  }
}

/** What a command's frame has behind the id. */
export const commandBytes = <N extends CommandName>(name: N, request: RequestOf<N>, cause?: string): Buffer =>
  written(
    () => writeCommand(writer, name, request, cause),
    () => writer.finish(),
  );

/** The frame, behind its header, that answers a command so; of no request yet. */
export const answerBytes = <N extends CommandName>(
  name: N,
  answer: AnswerOf<N>,
  deviations: readonly string[] = [],
): Buffer =>
  written(
    () => {
      beginFrame(writer);
      writeAnswerHead(writer, 0, deviations);
      writeDone<N>(writer, name, answer);
    },
    () => endFrame(writer),
  );
