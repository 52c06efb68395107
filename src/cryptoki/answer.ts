import { Failure } from '../base/errors.js';
import { andThen, type Eventually } from '../base/eventually.js';
import type { AnyOutput, LengthOnly, Room } from '../wire/arguments.js';
import { ROOM_QUERY } from '../wire/arguments.js';

/** CKR_BUFFER_TOO_SMALL: the caller learns the length it needs, and the operation goes on. */
export class BufferTooSmall extends Failure {
  constructor(readonly neededLength: number) {
    super('CKR_BUFFER_TOO_SMALL', `the caller's buffer has no room for ${neededLength}`);
  }
}

/** A failure that fills in outputs all the same, as C_GetAttributeValue's do. */
export class FailureWithOutput extends Failure {
  constructor(
    code: string,
    message: string,
    readonly output: AnyOutput,
  ) {
    super(code, message);
  }
}

/** How long an output will be: exactly known beforehand, or known only to be no longer. */
export interface OutputLength {
  readonly maxBytes: number;
  readonly exact: boolean;
}

export const exactly = (maxBytes: number): OutputLength => ({ maxBytes, exact: true });
export const atMost = (maxBytes: number): OutputLength => ({ maxBytes, exact: false });

/**
 * The two-call convention of v2.40 base, section 5.2, for every call that returns bytes: a NULL buffer asks for the
 * length and changes nothing; a short one gets CKR_BUFFER_TOO_SMALL and changes nothing either.
 *
 * `produce` must change nothing that a repeated call would miss; `conclude` does that, once the output is sure to fit.
 */
export function fillRoom(
  room: Room,
  length: OutputLength,
  produce: () => Eventually<Buffer>,
  conclude: () => void,
): Eventually<Buffer | LengthOnly> {
  if (room === ROOM_QUERY) return { length: length.maxBytes };
  if (length.exact && room < length.maxBytes) throw new BufferTooSmall(length.maxBytes);
  return andThen(produce(), (output) => {
    if (output.length > room) throw new BufferTooSmall(output.length);
    conclude();
    return output;
  });
}

/** The same convention for lists of numbers. */
export function fillList(room: Room, list: readonly number[]): readonly number[] | LengthOnly {
  if (room === ROOM_QUERY) return { length: list.length };
  if (room < list.length) throw new BufferTooSmall(list.length);
  return list;
}
