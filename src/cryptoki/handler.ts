import type { Eventually } from '../base/eventually.js';
import type { CallInput, CallOutput } from '../wire/arguments.js';
import type { CallName, Calls } from '../wire/calls.js';
import type { Application } from './application.js';
import type { Session } from './session.js';

type CallOf<N extends CallName> = Extract<Calls, { name: N }>;

/** Calls that begin with a session handle: the dispatcher has looked it up already. */
export type SessionCall = {
  [N in CallName]: CallOf<N>['arguments'] extends readonly [{ kind: 'session' }, ...unknown[]] ? N : never;
}[CallName];

/** What a handler answers: nothing, if it likes, where every output is optional or there is none. */
// biome-ignore-start lint/suspicious/noConfusingVoidType: it is the return type of functions
export type Answer<N extends CallName> =
  Partial<CallOutput<N>> extends CallOutput<N> ? CallOutput<N> | void : CallOutput<N>;
// biome-ignore-end lint/suspicious/noConfusingVoidType: see above

/** A call's handler. It throws a Failure whose code is the CK_RV. */
export type Handler<N extends CallName> = N extends SessionCall
  ? (session: Session, input: CallInput<N>, application: Application) => Eventually<Answer<N>>
  : (application: Application, input: CallInput<N>) => Eventually<Answer<N>>;

/** Calls that reach the engine and that CloudHSM has. */
type ServedCall = Exclude<
  CallName,
  Extract<Calls, { absent: true }>['name'] | 'C_Initialize' | 'C_GetFunctionList'
>;

/** Handlers by name. A call without one answers CKR_FUNCTION_NOT_SUPPORTED. */
export type Handlers = { readonly [N in ServedCall]?: Handler<N> };
