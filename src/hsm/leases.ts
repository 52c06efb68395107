import { type Eventually, isPromise } from '../base/eventually.js';
import type { Repeatable } from '../crypto/index.js';
import { longestInput, longestMessage } from '../mechanisms/data-limits.js';
import { isTokenObject } from '../objects/hsm-object.js';
import type { Mechanism } from '../pkcs11/layouts.js';
import type { CommandName, RequestOf } from './commands/index.js';
import { keyFor } from './commands/key-use.js';
import type { HsmSession } from './hsm-session.js';
import { isSteady, ObjectChanges, ReadLease, type ReadRequest } from './read-lease.js';

/*
 * A lease lets the client's side run one operation on one key again and again without asking: whoever asked would be answered the same
 * each time. The HSM recalls it before it does anything after which that might not be so. Whoever holds it works in the HSM's own thread,
 * or has ended what it does in another one when the recall returns, so nothing happens between the two.
 */

/** What a client wants to repeat: what it has just had done by a command. */
export interface LeaseRequest {
  readonly use: 'sign' | 'verify' | 'encrypt' | 'decrypt';
  readonly handle: number;
  readonly mechanism: Mechanism;
  /** The HSM is to make the IV each time, as `generateIv` does. */
  readonly makesIv: boolean;
}

/** What is repeated, and who counts it. */
export class Repeated {
  /** How often an operation was begun, and run, since it was last asked: whoever runs them counts here. */
  readonly uses = new Float64Array(2);
  /** To bring that number up to date: what other threads have done may not be in it. */
  onSettling: (() => void) | undefined;
  /** To be told of that number. */
  onUsed: ((begun: number, run: number) => void) | undefined;
  /** To be told that the lease is recalled: when it returns, nothing is repeated any more. */
  onRecalled: (() => void) | undefined;

  /** What was begun goes on as it was decided first: nobody is asked about its key again. */
  readonly remembers: boolean = false;

  constructor(
    readonly work: Repeatable,
    readonly longestInputBytes: number,
  ) {}

  /** Has those who count know what there was of it. */
  settle(): void {
    this.onSettling?.();
    const [begun, run] = this.uses as unknown as [number, number];
    this.uses.fill(0);
    this.counted(begun, run);
    this.onUsed?.(begun, run);
  }

  protected counted(_begun: number, _run: number): void {}

  /** What was begun and not run goes on in another way, which counts it, with the IV that was made for it. */
  takeOver(_iv: Buffer): void {
    this.uses[0]!--;
  }

  end(): void {
    this.settle();
  }
}

/** A repeated operation on a key. */
export class Lease extends Repeated {
  constructor(
    work: Repeatable,
    longestInputBytes: number,
    /** Its key is a token key. */
    readonly token: boolean,
    readonly request: LeaseRequest,
    private readonly session: HsmSession,
    private readonly count: (name: CommandName, times: number) => void,
    private readonly ended: (lease: Lease) => void,
  ) {
    super(work, longestInputBytes);
  }

  protected override counted(begun: number, run: number): void {
    this.count('describeKey', begun);
    if (this.request.makesIv) this.count('generateIv', begun);
    this.count(this.request.use, run);
  }

  override takeOver(iv: Buffer): void {
    super.takeOver(iv);
    if (this.request.makesIv) this.session.rememberIv(iv);
  }

  override end(): void {
    super.end();
    this.ended(this);
  }
}

/** Throws what the commands would. */
function workOf(session: HsmSession, { use, handle, mechanism, makesIv }: LeaseRequest) {
  const { type, parameter } = mechanism;
  const { mechanisms } = session.hsm;
  if (use === 'sign' || use === 'verify') {
    const signature = mechanisms.part(type, use);
    const { key, object } = keyFor(session, handle, use, type, signature.keyTypes);
    const work = signature.repeatable?.(key, parameter, use);
    return { object, work, longestInputBytes: longestMessage(signature) };
  }
  const cipher = mechanisms.part(type, use);
  const { key, object } = keyFor(session, handle, use, type, cipher.keyTypes);
  // Other IVs than the HSM's own are each asked about.
  const isAsked = use === 'encrypt' && cipher.hsmIv !== undefined && !makesIv && session.gate.refuses;
  const work = isAsked ? undefined : cipher.repeatable?.(key, parameter, use, makesIv);
  return { object, work, longestInputBytes: longestInput(cipher, use, parameter, key) };
}

/** What commands recall: those of the first list nothing, those of the second the leases on their key, and all others everything. */
const recallNothing: ReadonlySet<CommandName> = new Set<CommandName>([
  ...(['sign', 'verify', 'encrypt', 'decrypt', 'describeKey', 'wrapKey'] as const),
  ...(['generateRandom', 'generateIv', 'generateKey', 'generateKeyPair', 'deriveKey', 'unwrapKey'] as const),
  ...(['createObject', 'copyObject', 'getAttributes', 'findObjects', 'locateObject'] as const),
  ...(['objectDigests', 'objectVersions', 'getHsmInfo', 'getKeyInfo', 'findAllKeys', 'getKeysHash'] as const),
]);
const recallOneKey: ReadonlySet<CommandName> = new Set<CommandName>([
  ...(['destroyObject', 'endSessionObject', 'withdrawObject', 'setAttributes', 'setKeyAttribute'] as const),
  ...(['shareKey', 'unshareKey'] as const),
]);

export const recallsOf = (name: CommandName): 'nothing' | 'key' | 'everything' => {
  if (recallNothing.has(name)) return 'nothing';
  return recallOneKey.has(name) ? 'key' : 'everything';
};

/** What an HSM lets a client in its process do without commands; undefined for what has to be one. Throws what it would. */
export interface Lender {
  /** Repeats an operation. */
  lease(request: LeaseRequest): Lease | undefined;
  /** Answers what was just read as it was answered. */
  read(request: ReadRequest): ReadLease | undefined;
  /** Digests of all token objects, as long as nothing changes: HSMs where they are equal find the same. */
  digests(): Buffer | undefined;
}

/** What an HSM elsewhere has said of a key, while it holds. */
export interface Held {
  /** What carries commands to the HSM. */
  readonly carrier: object;
  readonly release: () => void;
}

/** A connection that remembers what its HSM has said of keys. */
export interface Holder {
  /** Undefined where it does not know. `ended` is called before it forgets that. */
  hold(described: RequestOf<'describeKey'>, ended: () => void): Held | undefined;
}

/** What makes session keys elsewhere without JavaScript. */
export interface KeyMaker {
  /** The addon's. */
  readonly maker: object;
  /** Keys were made, so many. */
  made(times: number): void;
  /** Resolves when the HSM has done a request to destroy a key, by its id. */
  destroyed(id: number): Promise<void>;
}

/** A connection to an HSM that can be asked so. */
export interface KeyAsker {
  /** `onStayed` is told of a key that the HSM does not destroy, and why. */
  askForKeys(
    request: RequestOf<'generateKey'>,
    cause: string,
    onStayed: (handle: number, answered: () => Promise<void>) => void,
  ): KeyMaker;
}

/** The leases of one HSM. */
export class Leases {
  readonly #live = new Set<Lease>();
  readonly #reading = new Map<HsmSession, ReadLease>();
  readonly #changes = new ObjectChanges();

  /** @param count is told what commands the leases stood for */
  constructor(private readonly count: (name: CommandName, times: number) => void) {}

  /** While the HSM does what it is told, and the connection is open. */
  lenderTo(session: HsmSession, isPlain: () => boolean): Lender {
    const lends = (): boolean => isPlain() && !session.closed;
    return {
      lease: (request) => (lends() ? this.#lease(session, request) : undefined),
      read: (request) => (lends() ? this.#read(session, request) : undefined),
      digests: () => (lends() ? session.hsm.objects.versions.current : undefined),
    };
  }

  #lease(session: HsmSession, request: LeaseRequest): Lease | undefined {
    const { object, work, longestInputBytes } = workOf(session, request);
    // Approvals are counted for each use.
    if (work === undefined || object.quorum !== undefined) return undefined;
    const ended = (which: Lease): void => void this.#live.delete(which);
    const token = isTokenObject(object);
    const lease = new Lease(work, longestInputBytes, token, request, session, this.count, ended);
    this.#live.add(lease);
    return lease;
  }

  #read(session: HsmSession, request: ReadRequest): ReadLease | undefined {
    if (!isSteady(session, request)) return undefined;
    const known = this.#reading.get(session);
    if (known !== undefined) return known;
    const lease = new ReadLease(this.#changes.counts, this.count);
    this.#reading.set(session, lease);
    return lease;
  }

  /** A connection has ended. */
  forget(session: HsmSession): void {
    const lease = this.#reading.get(session);
    this.#reading.delete(session);
    lease?.settle();
    lease?.onEnded?.();
  }

  /** Ends the leases on a key, or all of them, and what was read of it. */
  recall(handle?: number): void {
    this.#changes.note(handle);
    for (const lease of this.#live) {
      if (handle !== undefined && lease.request.handle !== handle) continue;
      if (lease.onRecalled !== undefined) lease.onRecalled();
      else lease.end();
    }
  }

  /** Runs a command, and recalls what it may change: before it begins and, as others may be given meanwhile, when it is done. */
  around<T>(handle: number | undefined, run: () => Eventually<T>): Eventually<T> {
    this.recall(handle);
    const answer = run();
    return isPromise(answer) ? answer.finally(() => this.recall(handle)) : answer;
  }

  settle(): void {
    for (const lease of this.#live) lease.settle();
    for (const lease of this.#reading.values()) lease.settle();
  }
}
