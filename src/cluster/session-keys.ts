import { describeError } from '../base/errors.js';
import type { Eventually } from '../base/eventually.js';
import type { Log } from '../base/log.js';
import type { CommandName } from '../hsm/commands/index.js';
import type { HsmConnection } from '../hsm/hsm.js';
import { isBusy, isLoss } from '../hsm/unavailable.js';

/** Whoever destroys one more waits for the HSM; in the addon (native/addon/transport/making.h) as well. */
export const MOST_LEAVING = 64;

interface NamesKeys {
  readonly handle?: number;
  readonly wrappingKey?: number;
  readonly unwrappingKey?: number;
}

/**
 * The session keys of a client whose HSMs are elsewhere: all of them are on one HSM, the home, and go with the connection to it.
 *
 * One that is destroyed leaves: its program goes on when the command is sent. Nothing is promised that could fail, as the HSM has
 * called the key destroyable and does what it is sent in that order. If it is lost the key is as well, and if it refuses all the same
 * (faults) it is told again, and then by the command that no HSM refuses.
 */
export class SessionKeys {
  /** By handle: whether the HSM destroys it when it is told to. */
  readonly #keys = new Map<number, boolean>();
  readonly #leaving = new Map<number, Promise<void>>();
  #asksFirst = false;

  /**
   * @param again waits for a busy HSM after so many tries; false when it is not to be asked again
   * @param lose ends a connection, if it is still there
   */
  constructor(
    private readonly log: Log,
    private readonly again: (tries: number) => Promise<boolean>,
    private readonly lose: (home: HsmConnection) => void,
  ) {}

  has(handle: number): boolean {
    return this.#keys.has(handle);
  }

  note(handle: number, destroyable: boolean): void {
    this.#keys.set(handle, destroyable);
  }

  /** It may not be as destroyable as it was. */
  changes(handle: number): void {
    if (this.#keys.has(handle)) this.#keys.set(handle, false);
  }

  forget(handle: number): void {
    this.#keys.delete(handle);
  }

  /** They have ended with the connection. */
  forgetAll(): void {
    this.#keys.clear();
  }

  /** While an HSM refuses commands it is asked first: until it has destroyed a key for somebody who has waited for that. */
  set asksFirst(asksFirst: boolean) {
    this.#asksFirst = asksFirst;
  }

  /** Whether nobody need wait until the key is destroyed. */
  mayLeave(handle: number): boolean {
    return this.#keys.get(handle) === true && !this.#asksFirst && this.#leaving.size < MOST_LEAVING;
  }

  /** Destroys a key that may leave; `asked`: the HSM has been told to. */
  leave(
    home: HsmConnection,
    handle: number,
    asked: () => Eventually<void> = () => home.send('destroyObject', { handle }),
  ): void {
    this.#keys.delete(handle);
    this.#leaving.set(handle, this.#destroy(home, handle, asked));
  }

  /** What a command that would find a key which leaves has to wait for: an HSM that has just been slow does not keep the order. */
  before(name: CommandName, request: unknown): Promise<unknown> | undefined {
    if (this.#leaving.size === 0) return undefined;
    if (name === 'findObjects') return Promise.all(this.#leaving.values());
    const { handle, wrappingKey, unwrappingKey } = (request ?? {}) as NamesKeys;
    return this.#left(handle) ?? this.#left(wrappingKey) ?? this.#left(unwrappingKey);
  }

  #left(handle: number | undefined): Promise<void> | undefined {
    return handle === undefined ? undefined : this.#leaving.get(handle);
  }

  /** They end with the login, or with the client: nobody hears of those that leave. */
  letGo(): void {
    this.forgetAll();
    this.#leaving.clear();
  }

  async #destroy(home: HsmConnection, handle: number, asked: () => Eventually<void>): Promise<void> {
    let refusal = await refusalOf(asked);
    if (refusal !== undefined && !isLoss(refusal)) this.#asksFirst = true;
    for (let tries = 1; isBusy(refusal) && this.#leaving.has(handle) && (await this.again(tries)); tries++)
      refusal = await refusalOf(() => home.send('destroyObject', { handle }));
    if (refusal === undefined || !this.#leaving.has(handle)) {
      this.#leaving.delete(handle);
      return;
    }
    if (!isLoss(refusal)) {
      const text = `session key ${handle} is ended, as it was not destroyed: ${describeError(refusal)}`;
      this.log.warn({ hsm: home.hsmId }, text);
      refusal = await refusalOf(() => home.send('endSessionObject', { handle }));
      this.#leaving.delete(handle);
    }
    if (isLoss(refusal)) this.#endWith(home, refusal);
  }

  /** The HSM does nothing for the connection any more: it ends, and all its keys with it. */
  #endWith(home: HsmConnection, loss: unknown): void {
    const { size: count } = this.#leaving;
    if (count > 0)
      this.log.info({ hsm: home.hsmId, count }, `session keys ended with their HSM: ${describeError(loss)}`);
    this.#leaving.clear();
    this.lose(home);
  }
}

/** What the HSM answers if it does not do it. */
async function refusalOf(asked: () => Eventually<void>): Promise<unknown> {
  try {
    await asked();
    return undefined;
  } catch (error) {
    return error;
  }
}
