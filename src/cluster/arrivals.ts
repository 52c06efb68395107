import { HsmUnavailable } from '../hsm/unavailable.js';
import type { Seat } from './seat.js';

/** Who waits for HSMs: for any at all, or for those that are just coming. */
export class Arrivals {
  readonly #forAny = new Set<() => void>();
  readonly #forComing = new Set<() => void>();

  /** @param patienceMs nobody waits longer */
  constructor(
    private readonly seats: ReadonlyMap<string, Seat>,
    private readonly patienceMs: number,
  ) {}

  /** More HSMs are up, or fewer. */
  changed(): void {
    for (const look of this.#forComing) look();
    if (this.#seats.some(({ isUp }) => isUp)) for (const wake of this.#forAny) wake();
  }

  get #seats(): Seat[] {
    return [...this.seats.values()];
  }

  /** Resolves when there is an HSM to rely on. Rejects with HsmUnavailable when none comes. */
  async any(): Promise<void> {
    if (this.#seats.some(({ isUp }) => isUp)) return;
    await new Promise<void>((resolve, reject) => {
      const done = (): void => {
        clearTimeout(timer);
        this.#forAny.delete(done);
        resolve();
      };
      const timer = setTimeout(() => {
        this.#forAny.delete(done);
        reject(new HsmUnavailable('unreachable', 'no HSM of the cluster can be reached'));
      }, this.patienceMs);
      this.#forAny.add(done);
    });
  }

  /** Resolves when HSMs that have just come, or can be had now, are relied on, or are lost again; undefined when there are none. */
  coming(): Promise<void> | undefined {
    for (const seat of this.#seats) seat.hurry();
    return this.#seats.some(({ isComing }) => isComing) ? this.#whileComing() : undefined;
  }

  /** The same of HSMs that take nothing of what is written yet, as those of a program that has just started; none is hurried. */
  unheard(): Promise<void> | undefined {
    return this.#seats.some(({ isComing, writable }) => isComing && !writable)
      ? this.#whileComing()
      : undefined;
  }

  #whileComing(): Promise<void> {
    return new Promise((resolve) => {
      const look = (isLate = false): void => {
        if (!isLate && this.#seats.some(({ isComing }) => isComing)) return;
        clearTimeout(timer);
        this.#forComing.delete(look);
        resolve();
      };
      const timer = setTimeout(look, this.patienceMs, true);
      this.#forComing.add(look);
    });
  }
}
