import { describeError, Failure } from '../base/errors.js';
import type { Log } from '../base/log.js';
import { Turns } from '../base/turns.js';
import { randomBytes } from '../crypto/index.js';
import type { DeviationId, Profile } from '../objects/deviations.js';
import { Gate } from '../objects/gate.js';
import type { RecordStore } from '../store/record-store.js';
import type { BackupArchive } from './backup-archive.js';
import type { HsmHost } from './hsm-host.js';
import { backupJobs } from './jobs/backup-jobs.js';
import { activate, clusterJobs, noticeActivation } from './jobs/cluster-jobs.js';
import { noticeFailure } from './jobs/failures.js';
import { HealthChecks, mustWork } from './jobs/health.js';
import { isInitialised, placeOf } from './jobs/hsm-records.js';
import { noticeUse } from './jobs/migration.js';
import { handlers } from './operations/index.js';
import { asServiceError } from './service/errors.js';
import type { OperationName, Output } from './service/operations.js';
import { validateInput } from './service/validate.js';
import { backupsOf } from './state/backups.js';
import { Catalogue, type CatalogueChange } from './state/catalogue.js';
import type { Context, Operation } from './state/context.js';
import { PageTokens } from './state/pages.js';
import type { ClusterRecord, HsmRecord, Realm } from './state/records.js';
import { type Job, Scheduler } from './state/scheduler.js';
import { type ControlPlaneSettings, standardSettings } from './state/settings.js';
import { systemTime, type Time } from './state/time.js';

const PAGE_KEY_BYTES = 32;

export interface ControlPlaneParts {
  readonly store: RecordStore;
  readonly host: HsmHost;
  readonly archive: BackupArchive;
  readonly log: Log;
  readonly time?: Time;
  readonly settings?: Partial<ControlPlaneSettings>;
  /** Whether requests that AWS refuses are let pass. */
  readonly profile: Profile;
  /** Learns of those that were. */
  readonly deviated?: (deviation: DeviationId, operation: string, program: string) => void;
}

/** The key of page tokens: tokens outlive a restart. */
async function pageTokens(catalogue: Catalogue): Promise<PageTokens> {
  const fresh = randomBytes(PAGE_KEY_BYTES).toString('hex');
  const value = await catalogue.transaction((tx) => {
    const known = tx.get('setting', 'pageKey');
    if (known === undefined) tx.put('setting', { id: 'pageKey', value: fresh });
    return known?.value ?? fresh;
  });
  return new PageTokens(Buffer.from(value, 'hex'));
}

/** The cloudhsmv2 API without its HTTP face: clusters, HSMs and backups of several accounts and regions. */
export class ControlPlane {
  readonly #scheduler: Scheduler;
  readonly #health: HealthChecks;

  private constructor(
    readonly context: Context & { settings: ControlPlaneSettings },
    private readonly profile: Profile,
    private readonly deviated: NonNullable<ControlPlaneParts['deviated']>,
  ) {
    this.#scheduler = new Scheduler((id) => this.#jobsOf(id), context.time, context.log);
    this.#health = new HealthChecks(context);
  }

  /** Opens what the store has, lets its HSMs run, and goes on with what was under way. Throws CORRUPT_STORE. */
  static async open(parts: ControlPlaneParts): Promise<ControlPlane> {
    const { store, host, archive, log, time = systemTime, profile, deviated = () => undefined } = parts;
    const catalogue = await Catalogue.open(store);
    const pages = await pageTokens(catalogue);
    const settings = { ...standardSettings, ...parts.settings };
    const context = { catalogue, host, archive, log, time, pages, settings, turns: new Turns<string>() };
    const controlPlane = new ControlPlane(context, profile, deviated);
    await controlPlane.#begin();
    return controlPlane;
  }

  async #begin(): Promise<void> {
    const { context } = this;
    const { catalogue, host, log } = context;
    const reported = (work: Promise<void>): void => {
      work.catch((error) => log.error(describeError(error)));
    };
    host.watch({
      activated: (hsmId) => reported(activate(context, hsmId)),
      used: (hsmId) => reported(noticeUse(context, hsmId)),
      failed: (hsmId, reason) => reported(noticeFailure(context, hsmId, reason, false)),
    });
    // One after the other: programs find clusters in the order in which they were made.
    for (const cluster of catalogue.all('cluster')) await this.#start(cluster);
    catalogue.onCommit((changes) => this.#refresh(changes));
    this.#refreshAll();
    for (const { id } of catalogue.all('cluster')) reported(noticeActivation(context, id));
    this.#health.begin();
  }

  #refreshAll(): void {
    for (const kind of ['cluster', 'backup'] as const)
      for (const { id } of this.context.catalogue.all(kind)) this.#scheduler.refresh(id);
  }

  /**
   * Starts the HSMs of a cluster together. One whose store is damaged keeps the others from nothing: it is replaced by one with what they
   * have. When it is all of them, what there is would be an older backup: somebody has to look at it first, unless the cluster was never
   * used. Throws CORRUPT_STORE.
   */
  async #start(cluster: ClusterRecord): Promise<void> {
    const { host, log } = this.context;
    const due = cluster.hsms.filter((hsm) => mustWork(this.context, hsm));
    const damaged: unknown[] = [];
    const start = async (hsm: HsmRecord): Promise<void> => {
      try {
        await host.start(placeOf(cluster, hsm));
      } catch (error) {
        if (!(error instanceof Failure) || error.code !== 'CORRUPT_STORE') throw error;
        damaged.push(error);
        log.error({ hsm: hsm.id }, `the HSM could not be started: ${describeError(error)}`);
      }
    };
    for (const one of await Promise.allSettled(due.map(start)))
      if (one.status === 'rejected') throw one.reason;
    if (damaged.length > 0 && damaged.length === due.length && isInitialised(cluster)) throw damaged[0];
  }

  #jobsOf(id: string): Job[] {
    const failuresOf = (key: string): number => this.#scheduler.failuresOf(key);
    const cluster = this.context.catalogue.get('cluster', id);
    if (cluster !== undefined) return clusterJobs(this.context, cluster, failuresOf);
    const backup = this.context.catalogue.get('backup', id);
    return backup === undefined ? [] : backupJobs(this.context, backup, failuresOf);
  }

  /** A backup concerns its cluster, the cluster's later backups, and every cluster that an HSM begins with it. */
  #refresh(changes: readonly CatalogueChange[]): void {
    const { catalogue } = this.context;
    const owners = new Set<string>();
    for (const { kind, id } of changes) {
      if (kind !== 'cluster' && kind !== 'backup') continue;
      owners.add(id);
      const clusterId = kind === 'backup' ? catalogue.get('backup', id)?.clusterId : undefined;
      if (clusterId === undefined) continue;
      owners.add(clusterId);
      for (const other of backupsOf(catalogue, clusterId))
        if (other.state === 'CREATE_IN_PROGRESS') owners.add(other.id);
    }
    for (const owner of owners) this.#scheduler.refresh(owner);
  }

  /** Answers one request of a program. Throws ServiceError; anything else is a fault of ours. */
  async call<N extends OperationName>(
    name: N,
    body: unknown,
    caller: Realm,
    program = 'unknown',
  ): Promise<Output<N>> {
    const input = validateInput(name, body);
    const operation = handlers[name] as Operation<N>;
    const gate = new Gate(this.profile, (deviation, cause) => this.deviated(deviation, cause, program));
    return operation(input, caller, { ...this.context, gate }).catch((error: unknown) => {
      throw asServiceError(error);
    });
  }

  /**
   * Does something that somebody waits for: meanwhile states last only as long as their work takes, and the first job that
   * fails rejects, though it is tried again. For one at a time.
   */
  async hurry<T>(work: () => Promise<T>): Promise<T> {
    const { settings } = this.context;
    // Jobs that wait for their time let a process end.
    const alive = setInterval(() => undefined, 60_000);
    try {
      return await new Promise<T>((resolve, reject) => {
        this.#scheduler.onFailure = (_job, error) => reject(error);
        this.context.settings = { ...settings, awsTiming: false };
        this.#refreshAll();
        work().then(resolve, reject);
      });
    } finally {
      clearInterval(alive);
      this.context.settings = settings;
      this.#scheduler.onFailure = undefined;
    }
  }

  /** Resolves when nothing runs that could run now. */
  async settled(): Promise<void> {
    await this.#health.settled();
    await this.#scheduler.settled();
  }

  async close(): Promise<void> {
    await this.#health.end();
    await this.#scheduler.close();
    await this.context.catalogue.close();
    this.context.pages.close();
  }
}
