import { describeError } from '../../base/errors.js';
import type { Context } from '../state/context.js';
import type { HsmRecord } from '../state/records.js';
import { noticeActivation } from './cluster-jobs.js';
import { noticeFailure } from './failures.js';
import { isBackedUp, placeOf } from './hsm-records.js';

/** An HSM that does not work this often in a row has failed for good. */
const FAILURES = 3;

/** Looks after the HSMs every so often: one that stays failed is replaced, as the service does (reference section 6.2). */
export class HealthChecks {
  readonly #failures = new Map<string, number>();
  #cancel: (() => void) | undefined;
  #round: Promise<void> | undefined;

  constructor(private readonly context: Context) {}

  /** The next round is as long after the end of the last one. */
  begin(): void {
    const { time, settings, log } = this.context;
    this.#cancel = time.at(time.nowMs() + settings.healthCheckMs, () => {
      const reported = (error: unknown): void => log.error(describeError(error));
      this.#round = this.#all()
        .catch(reported)
        .finally(() => {
          this.#round = undefined;
          if (this.#cancel !== undefined) this.begin();
        });
    });
  }

  /** Resolves when no round is under way. */
  async settled(): Promise<void> {
    await this.#round;
  }

  async end(): Promise<void> {
    this.#cancel?.();
    this.#cancel = undefined;
    await this.#round;
  }

  async #all(): Promise<void> {
    const { catalogue } = this.context;
    const ids = catalogue.all('cluster').flatMap(({ hsms }) => hsms.map(({ id }) => id));
    for (const id of ids) await this.#one(id);
    for (const id of this.#failures.keys()) if (!ids.includes(id)) this.#failures.delete(id);
    for (const { id } of catalogue.all('cluster'))
      await noticeActivation(this.context, id).catch(() => undefined);
  }

  async #one(id: string): Promise<void> {
    const { host, log, catalogue } = this.context;
    // As they are now: a round takes its time.
    const cluster = catalogue.all('cluster').find(({ hsms }) => hsms.some((hsm) => hsm.id === id));
    const hsm = cluster?.hsms.find((one) => one.id === id);
    if (cluster === undefined || hsm === undefined || !mustWork(this.context, hsm)) return;
    try {
      await host.check(placeOf(cluster, hsm));
      this.#failures.delete(id);
    } catch (error) {
      const reason = describeError(error);
      const count = (this.#failures.get(id) ?? 0) + 1;
      this.#failures.set(id, count);
      log.warn({ hsm: id, count }, `the HSM does not work: ${reason}`);
      if (count < FAILURES) return;
      this.#failures.delete(id);
      await noticeFailure(this.context, id, `The HSM does not work: ${reason}`, true).catch((failure) =>
        log.error({ hsm: id }, describeError(failure)),
      );
    }
  }
}

/** An HSM that is being deleted has to work as long as a backup is taken of it. */
export const mustWork = (context: Context, { id, state }: HsmRecord): boolean =>
  state === 'ACTIVE' || (state === 'DELETE_IN_PROGRESS' && isBackedUp(context, id));
