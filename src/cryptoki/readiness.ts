import type { Log } from '../base/log.js';
import { type DeviationId, deviations } from '../objects/deviations.js';
import { settleAll } from './unsettled.js';

/** The process behind a module's connections, for the status page, the log and the readiness report. */
export interface Client {
  readonly pid: number;
  readonly program: string;
}

/** Who deviates: a client of the API tells no pid. */
type Deviating = Pick<Client, 'program'> & Partial<Client>;

/** How often a program's calls to one function were one deviation. */
export interface DeviationUse {
  readonly deviation: DeviationId;
  /** The PKCS#11 function, or the operation of the API. */
  readonly call: string;
  readonly program: string;
  readonly count: number;
  readonly firstMs: number;
  readonly lastMs: number;
}

type Counted = { -readonly [Key in keyof DeviationUse]: DeviationUse[Key] } & { logged?: true };

/** Programs told apart; what others do is kept all the same, under one name. */
const PROGRAMS = 200;
const OTHER_PROGRAMS = '(other programs)';

/**
 * What programs did that CloudHSM refuses: the matter of the readiness report. Bounded, for what a program calls itself is its
 * own choice: deviations and calls come from tables, programs are counted.
 */
export class ReadinessRecord {
  /** By program, deviation, call. */
  #uses = new Map<string, Map<DeviationId, Map<string, Counted>>>();
  readonly #said = new Set<string>();

  /** `changed` is told of every note, and whether it is a new line of the report. */
  constructor(
    private readonly log: Log,
    private readonly changed: (isNew: boolean) => void = () => undefined,
    private readonly now: () => number = Date.now,
  ) {}

  note(deviation: DeviationId, call: string, client: Deviating, times = 1): void {
    const known = this.#uses.get(client.program)?.get(deviation)?.get(call);
    const atMs = this.now();
    const use = known ?? this.#add({ deviation, call, program: client.program, count: 0, firstMs: atMs });
    use.count += times;
    use.lastMs = atMs;
    if (use.logged === undefined) this.#say(use, client);
    this.changed(use.count === times);
  }

  #add(use: Omit<Counted, 'lastMs'>): Counted {
    const isOneTooMany = this.#uses.size >= PROGRAMS && !this.#uses.has(use.program);
    const program = isOneTooMany ? OTHER_PROGRAMS : use.program;
    const ofProgram = getOrAdd(this.#uses, program, () => new Map());
    const ofDeviation = getOrAdd(ofProgram, use.deviation, () => new Map<string, Counted>());
    return getOrAdd(ofDeviation, use.call, () => ({ ...use, program, lastMs: use.firstMs }));
  }

  /** Once per deviation and program, in plain words. */
  #say(use: Counted, { pid }: Deviating): void {
    const { deviation, call, program } = use;
    use.logged = true;
    const key = `${deviation} ${program}`;
    if (this.#said.has(key)) return;
    this.#said.add(key);
    const { does, answer, because, fix } = deviations[deviation];
    const text = `${program} ${does} (${call}). CloudHSM answers ${answer}: ${because}. To fix it, ${fix}.`;
    this.log.warn({ pid, program, deviation }, text);
  }

  /** All of it, by program. */
  uses(): DeviationUse[] {
    settleAll();
    return [...this.#uses.values()]
      .flatMap((ofProgram) => [...ofProgram.values()])
      .flatMap((ofDeviation) => [...ofDeviation.values()])
      .map(({ logged: _, ...use }) => use);
  }

  /** Takes up what an earlier run has recorded. */
  restore(uses: readonly DeviationUse[]): void {
    for (const { lastMs, ...use } of uses) {
      const counted = this.#add({ ...use, count: 0 });
      counted.count += use.count;
      counted.firstMs = Math.min(counted.firstMs, use.firstMs);
      counted.lastMs = Math.max(counted.lastMs, lastMs);
    }
  }

  /** Begins anew. */
  clear(): void {
    this.#uses = new Map();
    this.#said.clear();
    this.changed(true);
  }
}

function getOrAdd<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  let value = map.get(key);
  if (value === undefined) {
    value = make();
    map.set(key, value);
  }
  return value;
}
