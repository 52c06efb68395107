/*
 * How shapes of the service are written down, and the TypeScript types that follow from them. `shapes.ts` and
 * `operations.ts` are the rows; `validate.ts` checks requests against them.
 */

export interface Text {
  readonly kind: 'text';
  /** The model's pattern. It is anchored at both ends, whatever the model says. */
  readonly pattern?: string;
  readonly minLength?: number;
  readonly maxLength?: number;
  /** For digits: what they may say. */
  readonly number?: { readonly min: number; readonly max: number };
  /** A value that is valid: negative tests are made from it. */
  readonly sample: string;
}

export interface Choice<V extends string = string> {
  readonly kind: 'choice';
  readonly values: readonly V[];
}

export interface Integer {
  readonly kind: 'integer';
  readonly min: number;
  readonly max: number;
}

export interface Flag {
  readonly kind: 'flag';
}

/** Epoch seconds with up to three decimals: never an ISO string, which JS clients read as 1970. */
export interface Time {
  readonly kind: 'time';
}

export interface AnyList {
  readonly kind: 'list';
  readonly of: Shape;
  readonly min: number;
  readonly max: number;
}

export interface AnyMap {
  readonly kind: 'map';
  readonly key: Text;
  readonly value: Shape;
  readonly max: number;
}

export type Members = Readonly<Record<string, Shape>>;

export interface AnyStructure {
  readonly kind: 'structure';
  readonly required: Members;
  readonly optional: Members;
}

export type Shape = Text | Choice | Integer | Flag | Time | AnyList | AnyMap | AnyStructure;

export interface List<S extends Shape> extends AnyList {
  readonly of: S;
}

export interface Dictionary<S extends Shape> extends AnyMap {
  readonly value: S;
}

export interface Structure<R extends Members, O extends Members> extends AnyStructure {
  readonly required: R;
  readonly optional: O;
}

/** The TypeScript type of a shape's values. */
export type ValueOf<S> = S extends Text
  ? string
  : S extends Choice<infer V>
    ? V
    : S extends Integer | Time
      ? number
      : S extends Flag
        ? boolean
        : S extends List<infer E>
          ? ValueOf<E>[]
          : S extends Dictionary<infer E>
            ? Record<string, ValueOf<E>>
            : S extends Structure<infer R, infer O>
              ? { -readonly [K in keyof R]: ValueOf<R[K]> } & {
                  -readonly [K in keyof O]?: ValueOf<O[K]> | undefined;
                }
              : never;

export const text = (sample: string, constraints: Omit<Text, 'kind' | 'sample'> = {}): Text => ({
  kind: 'text',
  sample,
  ...constraints,
});

export const choice = <const V extends string>(...values: readonly V[]): Choice<V> => ({
  kind: 'choice',
  values,
});

export const integer = (min: number, max: number): Integer => ({ kind: 'integer', min, max });

export const flag: Flag = { kind: 'flag' };
export const time: Time = { kind: 'time' };

export const list = <S extends Shape>(of: S, min = 0, max = Number.MAX_SAFE_INTEGER): List<S> => ({
  kind: 'list',
  of,
  min,
  max,
});

export const map = <S extends Shape>(key: Text, value: S, max = Number.MAX_SAFE_INTEGER): Dictionary<S> => ({
  kind: 'map',
  key,
  value,
  max,
});

export const structure = <const R extends Members, const O extends Members>(
  required: R,
  optional: O,
): Structure<R, O> => ({ kind: 'structure', required, optional });
