import fc from 'fast-check';
import type { Applications } from '../../src/bridge/applications.js';
import { memoryEngine } from '../support/in-process.js';
import { operationKinds } from '../support/model-operations.js';
import { type Expected, SessionModel } from '../support/session-model.js';
import { WireCaller } from '../support/wire-caller.js';

/** CLOUDHSM_LOCAL_PROPERTY_RUNS lengthens it. CLOUDHSM_LOCAL_PROPERTY_SEED repeats a run: what fails says its seed. */
const RUNS = Number(process.env['CLOUDHSM_LOCAL_PROPERTY_RUNS'] ?? 150);
const SEED = process.env['CLOUDHSM_LOCAL_PROPERTY_SEED'];

interface Step {
  readonly text: string;
  expect(model: SessionModel): Expected;
}

/** Mostly the first ones: where nothing meets, nothing happens. */
const place = fc.oneof({ weight: 12, arbitrary: fc.nat(1) }, { weight: 1, arbitrary: fc.nat(9) });
const kind = fc.constantFrom(...operationKinds);
const offer = fc.constantFrom('query', 'short', 'enough', 'enough', 'enough' as const);
const data = fc
  .constantFrom(0, 5, 16, 16, 32, 48, 100)
  .chain((lengthBytes) => fc.uint8Array({ minLength: lengthBytes, maxLength: lengthBytes }))
  .map((bytes) => Buffer.from(bytes));

/** A step that prints as what it does. */
function step<A extends unknown[]>(
  name: keyof SessionModel,
  ...args: { [I in keyof A]: fc.Arbitrary<A[I]> }
): fc.Arbitrary<Step> {
  return (fc.tuple(...args) as unknown as fc.Arbitrary<A>).map((values) => {
    const words = values.map((value) => (Buffer.isBuffer(value) ? `${value.length} bytes` : String(value)));
    const text = `${name}(${words.join(', ')})`;
    const expect = (model: SessionModel) => (model[name] as (...given: A) => Expected)(...values);
    return { text, expect, [fc.toStringMethod]: () => text };
  });
}

const anything: fc.Arbitrary<Step> = fc.oneof(
  { weight: 8, arbitrary: step('open', fc.boolean()) },
  { weight: 3, arbitrary: step('close', place) },
  { weight: 1, arbitrary: step('closeAll') },
  { weight: 4, arbitrary: step('login', place, fc.boolean()) },
  { weight: 2, arbitrary: step('logout', place) },
  { weight: 6, arbitrary: step('create', place, fc.constantFrom('aes', 'hmac'), fc.boolean(), fc.nat()) },
  { weight: 4, arbitrary: step('destroy', place, place) },
  { weight: 8, arbitrary: step('findInit', place) },
  { weight: 8, arbitrary: step('find', place, fc.nat(4), fc.boolean()) },
  { weight: 4, arbitrary: step('findFinal', place) },
  { weight: 16, arbitrary: step('init', place, kind, place, fc.constant(false)) },
  { weight: 2, arbitrary: step('init', place, kind, place, fc.constant(true)) },
  { weight: 16, arbitrary: step('whole', place, kind, data, offer) },
  { weight: 16, arbitrary: step('update', place, kind, data, offer) },
  { weight: 16, arbitrary: step('final', place, kind, offer) },
);

/** Calls that mean the same operation, with anything between them. */
const operation: fc.Arbitrary<readonly Step[]> = fc
  .tuple(place, kind, place)
  .chain(([where, what, which]) => {
    const [at, same] = [fc.constant(where), fc.constant(what)];
    const uses = fc.oneof(
      { weight: 2, arbitrary: step('whole', at, same, data, offer) },
      { weight: 6, arbitrary: step('update', at, same, data, offer) },
      { weight: 3, arbitrary: step('final', at, same, offer) },
      { weight: 2, arbitrary: anything },
    );
    return fc
      .tuple(step('init', at, same, fc.constant(which), fc.constant(false)), fc.array(uses, { maxLength: 6 }))
      .map(([init, rest]) => [init, ...rest]);
  });
/** The same operation again and again, in the same words: the engine repeats it by itself (src/cryptoki/repeats.ts), until something
 * comes between. */
const repeated: fc.Arbitrary<readonly Step[]> = fc
  .tuple(place, kind, place, fc.integer({ min: 2, max: 5 }))
  .chain(([where, what, which, times]) => {
    const [at, same] = [fc.constant(where), fc.constant(what)];
    const whole = fc.constant(Buffer.alloc(32, 7));
    const again = fc.oneof(
      { weight: 3, arbitrary: step('whole', at, same, whole, fc.constant('enough')) },
      { weight: 1, arbitrary: step('whole', at, same, data, offer) },
    );
    const init = step('init', at, same, fc.constant(which), fc.constant(false));
    const once = fc
      .tuple(init, again, fc.array(again, { maxLength: 1 }))
      .map(([first, ...rest]) => [first, ...rest.flat()]);
    const between = fc.oneof(
      { weight: 3, arbitrary: fc.constant([]) },
      { weight: 1, arbitrary: fc.tuple(anything) },
    );
    const turns = fc.array(fc.tuple(once, between), { minLength: times, maxLength: times });
    // Begun in the same words, and then gone on with in another way.
    const otherwise = fc.tuple(
      init,
      step('whole', at, same, whole, fc.constantFrom('query', 'short' as const)),
      fc.oneof(step('update', at, same, data, offer), step('final', at, same, offer), anything),
    );
    return fc.tuple(turns, otherwise).map(([first, last]) => [...(first.flat(2) as Step[]), ...last]);
  });
/** Most sequences begin as programs do. */
const zero = fc.constant(0);
const key = (type: 'aes' | 'hmac') => step('create', zero, fc.constant(type), fc.boolean(), fc.nat());
const beginning = fc.oneof(
  {
    weight: 9,
    arbitrary: fc.tuple(
      step('open', fc.constant(true)),
      step('open', fc.boolean()),
      step('login', zero, fc.constant(true)),
      key('aes'),
      key('hmac'),
    ),
  },
  { weight: 1, arbitrary: fc.constant([] as Step[]) },
);
const sequences = fc
  .tuple(
    beginning,
    fc.array(
      fc.oneof(
        operation,
        repeated,
        anything.map((one): readonly Step[] => [one]),
      ),
      { maxLength: 16, size: 'max' },
    ),
  )
  .map(([first, then]): readonly Step[] => [...first, ...then.flat()]);

let runs = 0;

async function play(applications: Applications, sequence: readonly Step[]): Promise<void> {
  const model = new SessionModel(`run ${runs++}`);
  const program = await WireCaller.open(applications);
  try {
    for (const [at, { text, expect }] of sequence.entries()) {
      const expected = expect(model);
      const { code, output } = await program.call(expected.call, expected.input as never);
      const where = `step ${at + 1}, ${text}: ${expected.call}`;
      if (code !== expected.code) throw new Error(`${where} answered ${code} instead of ${expected.code}`);
      const wrong = expected.output?.(output);
      if (wrong !== undefined) throw new Error(`${where}: ${wrong}`);
    }
  } finally {
    program.close();
  }
}

describe('calls in any order', function () {
  this.timeout(0);

  it(`are answered as the model of PKCS#11's state says, ${RUNS} sequences of them`, async () => {
    const { applications } = await memoryEngine();
    await fc.assert(
      fc.asyncProperty(sequences, (sequence) => play(applications, sequence)),
      { numRuns: RUNS, ...(SEED !== undefined && { seed: Number(SEED) }) },
    );
  });
});
