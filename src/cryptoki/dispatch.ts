import { describeError } from '../base/errors.js';
import { andThen, type Eventually, isPromise, orElse } from '../base/eventually.js';
import type { Log } from '../base/log.js';
import { CKR, ckr, ckrOf } from '../pkcs11/ckr.js';
import type { AnyInput, AnyOutput, CallInput, CallOutput } from '../wire/arguments.js';
import { FrameTooLarge } from '../wire/bytes.js';
import { type CallRow, calls } from '../wire/calls.js';
import { readRequest, writeAnswer } from '../wire/codec.js';
import { BufferTooSmall, FailureWithOutput } from './answer.js';
import type { Application } from './application.js';
import { digestCalls } from './calls/digests.js';
import { encryptionCalls } from './calls/encryption.js';
import { generalCalls } from './calls/general.js';
import { keyCalls } from './calls/keys.js';
import { objectCalls } from './calls/objects.js';
import { randomCalls } from './calls/random.js';
import { sessionCalls } from './calls/sessions.js';
import { signingCalls } from './calls/signing.js';
import { slotCalls } from './calls/slots.js';
import { wrappingCalls } from './calls/wrapping.js';
import type { Handlers } from './handler.js';
import { MAIN_THREAD } from './library-log.js';
import { type KeyCarrier, RepeatedKeys } from './repeated-keys.js';
import { type Repeater, Repeats, repeatSteps } from './repeats.js';
import type { Session } from './session.js';
import { type SessionSharer, SharedSessions } from './shared-sessions.js';
import { settleAll } from './unsettled.js';

const handlers: Required<Handlers> = {
  ...generalCalls,
  ...slotCalls,
  ...sessionCalls,
  ...objectCalls,
  ...encryptionCalls,
  ...digestCalls,
  ...signingCalls,
  ...keyCalls,
  ...wrappingCalls,
  ...randomCalls,
};

type AnyHandler = (
  on: unknown,
  input: AnyInput,
  application: Application,
) => Eventually<AnyOutput | undefined>;

/** Is told of a call that has succeeded: it, or others like it, may need no handler next time. */
type Done = (
  application: Application,
  session: Session,
  input: AnyInput,
  frame: Buffer,
  output: AnyOutput | undefined,
) => void;

/** Who is told that a call has succeeded. */
interface Told {
  readonly done: Done | undefined;
  /** Is told as well where the answer comes later. */
  readonly isLong: boolean;
}

function toldOf({ name }: CallRow): Told {
  const step = repeatSteps.get(name);
  if (step !== undefined)
    return {
      done: ({ repeats }, session, _input, frame, output) => repeats?.done(step, session, frame, output),
      isLong: step.step === 'run',
    };
  if (name === 'C_GenerateKey')
    return {
      done: ({ keys }, session, input, frame, output) =>
        keys?.done(session, input as CallInput<typeof name>, frame, output as CallOutput<typeof name>),
      isLong: true,
    };
  if (name === 'C_GetAttributeValue')
    return {
      done: ({ shared }, session, input, frame, output) =>
        shared?.wasRead(session, input as CallInput<typeof name>, frame, output!),
      isLong: false,
    };
  return { done: undefined, isLong: false };
}

/** Where a call goes, looked up once. */
interface Route extends Told {
  readonly handler: AnyHandler | undefined;
  readonly hasSession: boolean;
  count: number;
  failures: number;
}

const routes: ReadonlyMap<CallRow, Route> = new Map(
  calls.map((call: CallRow) => [
    call,
    {
      handler: handlers[call.name as keyof Handlers] as AnyHandler | undefined,
      hasSession: call.arguments[0]?.kind === 'session',
      ...toldOf(call),
      count: 0,
      failures: 0,
    },
  ]),
);

/** How often each function was called in this process, and how often it failed; those that never were left out. */
export function callCounts(): { call: string; count: number; failures: number }[] {
  settleAll();
  return [...routes]
    .filter(([, { count }]) => count > 0)
    .map(([{ name }, { count, failures }]) => ({ call: name, count, failures }));
}

/** Lets what carries an application's frames answer them, where it may. */
export function answerThrough(
  carrier: Repeater & SessionSharer & KeyCarrier,
  application: Application,
  log: Log,
): void {
  const count = (call: CallRow, times: number): void => {
    routes.get(call)!.count += times;
  };
  application.repeats ??= new Repeats(
    carrier,
    (frame) => void dispatch(application, frame, log, MAIN_THREAD),
    count,
  );
  application.shared ??= new SharedSessions(carrier, count);
  application.keys ??= new RepeatedKeys(carrier, count);
}

/** The outputs that go along with a failure, if any. */
function outputOf(call: CallRow, error: unknown): AnyOutput | undefined {
  if (error instanceof FailureWithOutput) return error.output;
  if (!(error instanceof BufferTooSmall)) return undefined;
  const room = call.arguments.find(({ kind }) => kind === 'room' || kind === 'list' || kind === 'slots');
  return room && { [room.name]: { length: error.neededLength } };
}

/** Codes that a well-behaved program provokes all the time, by asking. */
const askedFor: ReadonlySet<number> = new Set([
  CKR.CKR_BUFFER_TOO_SMALL,
  CKR.CKR_ATTRIBUTE_TYPE_INVALID,
  CKR.CKR_ATTRIBUTE_SENSITIVE,
  CKR.CKR_NO_EVENT,
]);

/** An answer too long for a frame is one that the HSM has no memory for. */
function asFailure(error: unknown): unknown {
  return error instanceof FrameTooLarge ? ckr('CKR_DEVICE_MEMORY', error.message) : error;
}

/** The edge where a failure becomes a number and, once, a line in the engine's log and one in the library's. */
function failed(log: Log, application: Application, call: CallRow, error: unknown, thread: number): Buffer {
  const rv = ckrOf(error);
  routes.get(call)!.failures++;
  const quiet = askedFor.has(rv);
  const libraryLevel = quiet ? 'debug' : 'error';
  if (application.log.writes(libraryLevel) || !quiet || log.isLevelEnabled('debug')) {
    const cause = describeError(error);
    const outcome = `${call.name} failed, returning 0x${rv.toString(16).padStart(8, '0')}`;
    application.log.writeFailure(libraryLevel, call.name, cause, outcome, thread);
    const { pid, program } = application.client;
    const text = `${outcome}: ${cause}`;
    if (rv === CKR.CKR_GENERAL_ERROR)
      log.error({ pid, program, stack: error instanceof Error ? error.stack : undefined }, text);
    else if (quiet) log.debug({ pid, program }, text);
    else log.info({ pid, program }, text);
  }
  return writeAnswer(call, rv, outputOf(call, error));
}

function run(
  application: Application,
  call: CallRow,
  input: AnyInput,
  frame: Buffer,
): Eventually<AnyOutput | undefined> {
  const route = routes.get(call)!;
  const { handler, hasSession, done, isLong } = route;
  route.count++;
  const on = hasSession ? application.session(input['hSession'] as number) : application;
  if (handler === undefined) throw ckr('CKR_FUNCTION_NOT_SUPPORTED', `CloudHSM has no ${call.name}`);
  const output = handler(on, input, application);
  if (done === undefined || (isPromise(output) && !isLong)) return output;
  return andThen(output, (known) => {
    done(application, on as Session, input, frame, known);
    return known;
  });
}

/** Answers one request frame of an application, from one of its threads. Throws MalformedFrame, and nothing else. */
export function dispatch(
  application: Application,
  frame: Buffer,
  log: Log,
  thread: number,
): Eventually<Buffer> {
  application.keys?.collect();
  const { call, input } = readRequest(frame);
  const answer = orElse<Buffer>(
    () => andThen(run(application, call, input, frame), (output) => writeAnswer(call, CKR.CKR_OK, output)),
    (error) => failed(log, application, call, asFailure(error), thread),
  );
  if (call.secret !== true) return answer;
  if (isPromise(answer)) return answer.finally(() => frame.fill(0));
  frame.fill(0);
  return answer;
}
