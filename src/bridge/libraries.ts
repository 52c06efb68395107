import { isAbsolute } from 'node:path';
import {
  type ClientConfig,
  type ClientConfigFile,
  type LogInterval,
  readClientConfig,
  unknownFields,
  unusableConfig,
} from '../base/client-config.js';
import { describeError, Failure } from '../base/errors.js';
import type { Eventually } from '../base/eventually.js';
import type { Log } from '../base/log.js';
import { type LineSink, LogFiles, noSink, stderrSink } from '../base/log-file.js';
import { logConnecting } from '../cryptoki/connecting.js';
import {
  type EngineOffer,
  entriesElsewhere,
  type Library,
  type ReachedCluster,
  slotsFor,
} from '../cryptoki/library.js';
import { LibraryLog } from '../cryptoki/library-log.js';
import type { Client } from '../cryptoki/readiness.js';
import type { Slot } from '../cryptoki/slot.js';
import { HandshakeRefused } from './applications.js';

/** The module that reads the configuration, in the library's log [guess]. */
const CONFIG_PATH = 'cloudhsm_pkcs11::config';

/** Where a cloudhsm-pkcs11.cfg is looked for when the application names none, first to last. */
export interface LibraryPlaces {
  readonly configFiles: readonly string[];
  /** Where the library logs unless its configuration says otherwise. */
  readonly logFile: string;
}

function notReached(file: string, place: number, error: unknown): Error {
  const text = `${file}, clusters[${place}]: ${describeError(error)}`;
  const isUnusable = error instanceof Failure && error.code === 'BAD_CONFIGURATION';
  return new HandshakeRefused(isUnusable ? 'badConfiguration' : 'noHsm', text);
}

/** Makes the library of each application as its cloudhsm-pkcs11.cfg says, which is read then and never again. */
export class Libraries {
  readonly #files = new LogFiles();

  constructor(
    private readonly offer: EngineOffer,
    private readonly places: LibraryPlaces,
    private readonly log: Log,
  ) {}

  /** Throws, or rejects with, BAD_CONFIGURATION, and HandshakeRefused when no HSM of any slot can be reached. */
  open(client: Client, configFile: string | undefined): Eventually<Library> {
    const found = this.#find(configFile);
    const elsewhere = entriesElsewhere(this.offer, found);
    const { reach } = this.offer;
    if (found === undefined || elsewhere.size === 0 || reach === undefined)
      return this.#make(client, found, slotsFor(this.offer, found));
    return this.#openElsewhere(client, found, elsewhere, reach);
  }

  /** All of the clusters elsewhere must be there: a slot has no mechanisms before. */
  async #openElsewhere(
    client: Client,
    found: ClientConfigFile,
    elsewhere: ReturnType<typeof entriesElsewhere>,
    reach: NonNullable<EngineOffer['reach']>,
  ): Promise<Library> {
    const places = [...elsewhere.keys()];
    const attempts = await Promise.allSettled(
      [...elsewhere.values()].map((entry) => reach(found.file, entry)),
    );
    const reached = attempts.flatMap((attempt, at): [number, ReachedCluster][] =>
      attempt.status === 'fulfilled' ? [[places[at]!, attempt.value]] : [],
    );
    const release = (): void => {
      for (const [, one] of reached) one.release();
    };
    try {
      for (const [at, attempt] of attempts.entries())
        if (attempt.status === 'rejected') throw notReached(found.file, places[at]!, attempt.reason);
      const views = new Map(reached.map(([place, { cluster }]) => [place, cluster]));
      return { ...this.#make(client, found, slotsFor(this.offer, found, views)), release };
    } catch (error) {
      release();
      throw error;
    }
  }

  #make(client: Client, found: ClientConfigFile | undefined, slots: readonly Slot[]): Library {
    // "All unreachable at start: C_Initialize fails, later calls 0x190" (reference 14.3).
    if (!slots.some(({ cluster }) => cluster.reachable)) {
      const ids = slots.map(({ cluster }) => cluster.settings.id).join(', ');
      throw new HandshakeRefused('noHsm', `no HSM of ${ids} can be reached: see cloudhsm-local status`);
    }
    if (!slots.some(({ cluster, presented }) => cluster.admits?.(presented) !== false)) {
      const ids = slots.map(({ cluster }) => cluster.settings.id).join(', ');
      throw new HandshakeRefused(
        'noHsm',
        `the HSMs of ${ids} enforce mutual TLS: configure-pkcs11 --client-cert-hsm-tls-file and --client-key-hsm-tls-file name a certificate of a registered trust anchor`,
      );
    }
    const log = this.#openLog(client, found?.config.logging);
    if (found !== undefined) {
      const idle = unknownFields(found.config);
      if (idle.length > 0)
        log.write('warn', CONFIG_PATH, [`${found.file}: fields without effect: ${idle.join(', ')}`]);
    }
    for (const slot of slots) logConnecting(log, slot);
    return { slots, log, readiness: this.offer.readiness };
  }

  #openLog({ pid }: Client, logging: ClientConfig['logging']): LibraryLog {
    const level = logging?.log_level ?? 'info';
    const sink =
      logging?.log_type === 'term'
        ? stderrSink
        : this.#openFile(logging?.log_file ?? this.places.logFile, logging?.log_interval ?? 'daily');
    return new LibraryLog(sink, level, pid);
  }

  /** A file that cannot be written to is no reason not to serve: its lines go where they do by default. */
  #openFile(path: string, interval: LogInterval): LineSink {
    try {
      return this.#files.open(path, interval);
    } catch (error) {
      const { logFile } = this.places;
      const instead = path === logFile ? 'nothing is logged' : `logging to ${logFile}`;
      this.log.warn(
        { file: path },
        `the library's log cannot be written, ${instead}: ${describeError(error)}`,
      );
      return path === logFile ? noSink : this.#openFile(logFile, interval);
    }
  }

  #find(named: string | undefined): ClientConfigFile | undefined {
    if (named === undefined) {
      for (const file of this.places.configFiles) {
        const found = readClientConfig(file);
        if (found !== undefined) return found;
      }
      return undefined;
    }
    const found = isAbsolute(named) ? readClientConfig(named) : undefined;
    if (found !== undefined) return found;
    throw unusableConfig(named, 'there is no such file, and CLOUDHSM_PKCS11_CONFIG names it');
  }
}
