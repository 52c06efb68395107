import type { RequestOf } from '../hsm/commands/index.js';
import type { HsmConnection } from '../hsm/hsm.js';
import { type Held, Repeated } from '../hsm/leases.js';
import type { Mechanism } from '../pkcs11/layouts.js';
import { bareAnswerOf, type DataCommand, wordsOf } from './data-commands.js';
import { TlsStream } from './tls-stream.js';

/*
 * An operation on a key that HSMs elsewhere have been asked for, and are asked for again in the same words: by the addon, which gives the
 * command to one of them after the other and its answer to the program (native/addon/tls/asking.h). What JavaScript would look at
 * each time is what the HSMs have said of the key: with that it ends, and with any change of the HSMs that are up. Whatever is not plain
 * success JavaScript asks for again, as if it had been first, so that refusals, busy HSMs and lost ones are its business.
 */

/** What a client wants to repeat: what it has just had done by a command. */
export interface AskedRequest {
  readonly use: DataCommand;
  readonly handle: number;
  readonly mechanism: Mechanism;
  /** What Init asks about the key. */
  readonly described: RequestOf<'describeKey'>;
  readonly outputBytes: number;
  readonly longestInputBytes: number;
}

/** It goes on, where it was begun, as what was described: without asking about the key. */
export class AskedOperation extends Repeated {
  override readonly remembers = true;

  /** @param released what it relies on is no longer needed */
  constructor(
    carriers: readonly TlsStream[],
    { use, handle, mechanism, outputBytes, longestInputBytes }: AskedRequest,
    private readonly released: () => void,
  ) {
    const terms = { words: wordsOf(use, handle, mechanism), answer: bareAnswerOf(use), outputBytes };
    super(TlsStream.askedOperation(carriers, { ...terms, verifies: use === 'verify' }), longestInputBytes);
  }

  recall(): void {
    if (this.onRecalled !== undefined) this.onRecalled();
    else this.end();
  }

  /** It was counted when it was begun. */
  override takeOver(): void {}

  override end(): void {
    super.end();
    this.released();
  }
}

/** What one client's HSMs are asked for so. */
export class AskedOperations {
  readonly #all = new Set<AskedOperation>();

  /** Undefined where one of the HSMs has not said yet what it knows of the key: then it is asked, for the next time. */
  begin(connections: readonly HsmConnection[], request: AskedRequest): AskedOperation | undefined {
    const { described } = request;
    let operation: AskedOperation | undefined;
    const held = connections.map((connection) => connection.hold?.(described, () => operation?.recall()));
    const there = held.filter((one): one is Held => one !== undefined);
    const carriers = there.map(({ carrier }) => carrier).filter((carrier) => carrier instanceof TlsStream);
    const release = (): void => {
      for (const one of there) one.release();
    };
    if (carriers.length === 0 || carriers.length < connections.length) {
      release();
      // What none of them remembers is asked each time.
      if (there.length > 0)
        askAbout(
          described,
          connections.filter((_, at) => held[at] === undefined),
        );
      return undefined;
    }
    operation = new AskedOperation(carriers, request, () => {
      release();
      this.#all.delete(operation!);
    });
    this.#all.add(operation);
    return operation;
  }

  recall(): void {
    for (const operation of [...this.#all]) operation.recall();
  }
}

/** What they answer the connections remember. */
function askAbout(described: RequestOf<'describeKey'>, connections: readonly HsmConnection[]): void {
  for (const connection of connections)
    void (async () => connection.send('describeKey', described))().catch(() => undefined);
}
