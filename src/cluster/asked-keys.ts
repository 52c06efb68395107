import type { RequestOf } from '../hsm/commands/index.js';
import type { HsmConnection } from '../hsm/hsm.js';
import type { KeyAsker, KeyMaker } from '../hsm/leases.js';
import type { Seats } from './seats.js';

/*
 * Session keys that a program makes again and again in the same words, and destroys. The addon asks the home for them
 * (native/addon/tls/asked-keys.cc), and remembers which there are until somebody looks for one in JavaScript. It ends with any change of the HSMs
 * that are up, and with any answer that is not plain success: JavaScript takes that as if it had asked.
 */

/** What was done without JavaScript. */
export interface CollectedKeys {
  /** How many were made. */
  readonly made: number;
  /** Keys that are there. */
  readonly handles: readonly number[];
  /** Requests to destroy one which are not answered yet: id, handle, id, handle, ... */
  readonly leaving: readonly number[];
}

/** The keys of one template of one session. */
export class AskedKeys {
  readonly #asked: KeyMaker;
  #isOver = false;
  /** To be told that no more must be made. */
  onRecalled: (() => void) | undefined;

  constructor(
    request: RequestOf<'generateKey'>,
    cause: string,
    private readonly home: HsmConnection & KeyAsker,
    private readonly seats: Seats,
    private readonly ended: (keys: AskedKeys) => void,
  ) {
    this.#asked = home.askForKeys(request, cause, (handle, answered) => this.#stayed(handle, answered));
  }

  /** What asks for them, for the addon. */
  get maker(): object {
    return this.#asked.maker;
  }

  /** A key was not destroyed when its program was told so; or came too late for it. */
  #stayed(handle: number, answered: () => Promise<void>): void {
    if (this.#isOver) {
      void this.#endQuietly(handle, answered);
      return;
    }
    this.seats.sessionKeys.leave(this.home, handle, answered);
    this.onRecalled?.();
  }

  async #endQuietly(handle: number, answered: () => Promise<void>): Promise<void> {
    const ended = async (): Promise<void> => this.home.send('endSessionObject', { handle });
    await answered()
      .catch(ended)
      .catch(() => undefined);
  }

  end(): void {
    this.#isOver = true;
    this.ended(this);
  }

  collected({ made, handles, leaving }: CollectedKeys): void {
    this.#asked.made(made);
    const { sessionKeys } = this.seats;
    // The keys of a lost connection are no more.
    if (homeOf(this.seats) === this.home) for (const handle of handles) sessionKeys.note(handle, true);
    for (let at = 0; at < leaving.length; at += 2)
      sessionKeys.leave(this.home, leaving[at + 1]!, () => this.#asked.destroyed(leaving[at]!));
  }
}

const homeOf = (seats: Seats): HsmConnection | undefined => seats.doing('generateKey', undefined)[0];

const canAsk = (home: HsmConnection | undefined): home is HsmConnection & KeyAsker =>
  home?.askForKeys !== undefined;

/** All that one client's home is asked for so. */
export class AllAskedKeys {
  readonly #all = new Set<AskedKeys>();

  constructor(private readonly seats: Seats) {}

  /** @param made a key that was just made so; undefined where that may not be repeated */
  begin(request: RequestOf<'generateKey'>, cause: string, made: number): AskedKeys | undefined {
    const home = homeOf(this.seats);
    if (!canAsk(home) || !this.seats.sessionKeys.mayLeave(made)) return undefined;
    const keys = new AskedKeys(request, cause, home, this.seats, (ended) => this.#all.delete(ended));
    this.#all.add(keys);
    return keys;
  }

  recall(): void {
    for (const keys of [...this.#all]) keys.onRecalled?.();
  }
}
