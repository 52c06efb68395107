import type { infoLayouts, Mechanism, StructValue } from '../pkcs11/layouts.js';
import type { Template } from '../pkcs11/template.js';
import type { ArgumentRow, CallName, Calls } from './calls.js';

/** What a caller offers for output: ROOM_QUERY where it passed NULL and asks for the length, else its capacity in
 * bytes or entries. */
export type Room = number;
export const ROOM_QUERY: Room = -1;

/** C_FindObjects: a NULL array asks how many of at most `max` there are. */
export interface UpTo {
  readonly room: Room;
  readonly max: number;
}

/** One entry of C_GetAttributeValue's template. */
export interface AttributeQuery {
  readonly type: number;
  readonly room: Room;
  /** The entries to fill in, where the value is a template and there is a buffer for it. */
  readonly entries?: readonly AttributeQuery[];
}

/** The answer to an AttributeQuery: ulValueLen (-1 where there is no value to give), and the value where it fits. */
export interface AttributeAnswer {
  readonly lengthBytes: number;
  readonly value?: Buffer;
  /** What an array of attributes is filled with. */
  readonly entries?: readonly (AttributeAnswer & { readonly type: number })[];
}

/** Answers a length query, or goes with CKR_BUFFER_TOO_SMALL. */
export interface LengthOnly {
  readonly length: number;
}

type Inputs = {
  session: number;
  slot: number;
  ulong: number;
  flag: boolean;
  bytes: Buffer;
  text: Buffer;
  pointer: boolean;
  mechanism: Mechanism | null;
  template: Template;
  query: readonly AttributeQuery[];
  room: Room;
  list: Room;
  slots: Room;
  upTo: UpTo;
  fill: number;
};

type InputRow = Extract<ArgumentRow, { kind: keyof Inputs }>;

type OutputOf<A extends ArgumentRow> = A extends {
  kind: 'outStruct';
  layout: infer L extends keyof typeof infoLayouts;
}
  ? StructValue<(typeof infoLayouts)[L]>
  : A extends { kind: 'room' }
    ? Buffer | LengthOnly
    : A extends { kind: 'list' | 'slots' | 'upTo' }
      ? readonly number[] | LengthOnly
      : A extends { kind: 'fill' }
        ? Buffer
        : A extends { kind: 'query' }
          ? readonly AttributeAnswer[]
          : A extends { kind: 'mechanism' }
            ? Buffer | undefined
            : number;

type OutputKind =
  | 'room'
  | 'list'
  | 'slots'
  | 'upTo'
  | 'fill'
  | 'query'
  | 'outStruct'
  | 'outUlong'
  | 'outSlot';

type CallOf<N extends CallName> = Extract<Calls, { name: N }>;
type ArgumentsOf<N extends CallName> = CallOf<N>['arguments'][number];

/** What a call's handler receives: its arguments by their names in the standard. */
export type CallInput<N extends CallName> = {
  readonly [A in ArgumentsOf<N> as A['kind'] extends keyof Inputs
    ? A['name']
    : never]: A['kind'] extends keyof Inputs ? Inputs[A['kind']] : never;
};

/** What it answers on success, or along with CKR_BUFFER_TOO_SMALL and the codes of C_GetAttributeValue. */
export type CallOutput<N extends CallName> = {
  readonly [A in ArgumentsOf<N> as A['kind'] extends OutputKind ? A['name'] : never]: OutputOf<A>;
} & {
  /** Bytes written back through the mechanism's parameter: the HSM's IV. */
  readonly [A in ArgumentsOf<N> as A['kind'] extends 'mechanism' ? A['name'] : never]?: Buffer | undefined;
};

/** The same without the types, as the codec sees it. */
export type AnyInput = Record<string, Inputs[keyof Inputs]>;
export type AnyOutput = Record<string, unknown>;
export type { InputRow };
