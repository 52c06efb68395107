import type { BackupKeys } from '../backup/keys.js';
import { systemClock } from '../base/clock.js';
import type { ClusterKind } from '../base/cluster-kind.js';
import { describeError } from '../base/errors.js';
import type { Eventually } from '../base/eventually.js';
import { type Log, silentLog } from '../base/log.js';
import { type MechanismTable, mechanismsOf } from '../mechanisms/mechanism-table.js';
import { type CertificateSwitch, certificateSwitch } from '../objects/certificates.js';
import type { Profile } from '../objects/deviations.js';
import { type DeviationListener, Gate, profileOf } from '../objects/gate.js';
import type { RecordStore } from '../store/record-store.js';
import type { ClientSwitches } from '../wire/hsm-frames.js';
import { audited } from './audit/audited.js';
import { type AuditDetails, type AuditEntry, byItself } from './audit/entry.js';
import { firstRecords } from './audit/first-records.js';
import { AuditTrail } from './audit/trail.js';
import { backUp } from './backup/back-up.js';
import { CommandCounts } from './command-counts.js';
import { type Steps, steps } from './command-steps.js';
import type { AnswerOf, CommandName, RequestOf } from './commands/index.js';
import {
  type DeviceCertificates,
  deviceCertificatesChange,
  readDeviceCertificates,
} from './device-certificates.js';
import {
  type Condition,
  type Fault,
  failingOnDemand,
  faults,
  losesSessions,
  underCondition,
} from './faults.js';
import { HandleAllocator } from './handles.js';
import { HsmSession } from './hsm-session.js';
import { type Holder, type KeyAsker, Leases, type Lender } from './leases.js';
import { LastingWrites } from './limited-writes.js';
import { LiveLogins } from './live-logins.js';
import { MaskingKey } from './masking.js';
import { MutualTls } from './mutual-tls.js';
import { summaryChange, summaryIn } from './object-summary.js';
import { OpenSessions } from './open-sessions.js';
import { guarded } from './quorum/guarded.js';
import { Quorum } from './quorum/quorum.js';
import { ObjectCounts, type Quota } from './quotas.js';
import { settingKey } from './setting-rows.js';
import { busy, mayBeRefused, Throttle } from './throttle.js';
import { TokenObjects } from './token-objects.js';
import { Traffic } from './traffic.js';
import { HsmUnavailable, NotAdmitted } from './unavailable.js';
import { applianceUser, firstUsers, type NewUser } from './user-records.js';
import { UserTable, type Write } from './users.js';

export interface HsmSettings extends ClusterKind {
  readonly id: string;
  /** Where its cluster has it: its ENI address, and the port for clients. */
  readonly host?: string;
  readonly port?: number;
  /** Whether ECDH may give the shared secret itself; false by default. */
  readonly ecdhWithoutKdf?: boolean;
  /** The HSM's place in its cluster, from 1. */
  readonly ordinal: number;
  /** How many commands of clients it does in a second before it says that it is busy; without it, all. */
  readonly commandsPerSecond?: number | undefined;
  /** Which templates the HSM accepts: CloudHSM's own rules, or those that programs commonly need. */
  readonly profile: Profile;
  readonly quota: Quota;
  /** Whether it keeps certificates: they are nowhere to be seen otherwise. */
  readonly certificateStorage: CertificateSwitch;
  /** What the manufacturer and the installation gave it, to make and restore backups. */
  readonly backupKeys?: BackupKeys;
}

/** What the cluster gives an HSM that joins it. */
export interface Provisioning {
  readonly maskingKey: Buffer;
  /** The first one is the admin, who has id 1: a CO, or a PRECO whose first change of password activates the cluster. */
  readonly users: readonly NewUser[];
}

/** Session handles in audit logs [guess]. */
const FIRST_SESSION = 0x1000000;
const SESSION_NUMBERS = 0x1000000;

const MASKING_KEY = settingKey('masking-key');

export interface HsmConnectOptions extends ClientSwitches {
  /** Learns of the deviations that the HSM allows. */
  readonly allowed?: DeviationListener | undefined;
  /** The certificates by which the client has shown who it is, DER, its own first. */
  readonly presented?: readonly Buffer[] | undefined;
  /** Learns that the HSM has ended the connection. */
  readonly dropped?: (() => void) | undefined;
}

/** A client's connection to one HSM: a direct reference in one process, mutual TLS between several. */
export interface HsmConnection extends Partial<Lender>, Partial<Holder>, Partial<KeyAsker> {
  readonly hsmId: string;
  /** What the HSM has proved to be, DER: of connections over TLS. */
  readonly certificate?: Buffer;
  /** Runs one command. Throws a Failure with a CKR code. `cause`: the connection's listener learns under this name of the
   * deviations that the HSM allows; they travel with the answer. */
  send<N extends CommandName>(name: N, request: RequestOf<N>, cause?: string): Eventually<AnswerOf<N>>;
  /** Logs out and forgets the connection's session keys. */
  close(): void;
}

/** One HSM: its users, its objects and the commands on them. It knows neither PKCS#11 sessions nor its cluster. */
export class Hsm {
  readonly mechanisms: MechanismTable;
  /** How the HSM gets what others have: whoever knows its cluster sets it. */
  catchUp: (() => Promise<void>) | undefined;
  /** Whoever has to know is told that the first admin has changed the first password. */
  onActivated: (() => void) | undefined;
  /** Whoever has to know is told that a client has logged in. */
  onLogin: (() => void) | undefined;
  /** Whoever replaces HSMs is told that this one has zeroised its keys. */
  onTampered: (() => void) | undefined;
  readonly logins = new LiveLogins();
  readonly #write: Write = (changes) => this.store.write(changes);
  readonly traffic = new Traffic();
  #condition: Condition | undefined;
  readonly #lastingWrites: LastingWrites;
  #throttle: Throttle | undefined;
  #sessions = 0;
  readonly #openSessions: OpenSessions;
  readonly leases = new Leases((name, times) => this.#commands.add(name, times));
  readonly #commands = new CommandCounts();

  private constructor(
    readonly settings: HsmSettings,
    readonly users: UserTable,
    readonly counts: ObjectCounts,
    readonly objects: TokenObjects,
    readonly handles: HandleAllocator,
    readonly maskingKey: MaskingKey,
    readonly audit: AuditTrail,
    readonly quorum: Quorum,
    readonly mutualTls: MutualTls,
    readonly log: Log,
    private readonly store: RecordStore,
  ) {
    this.mechanisms = mechanismsOf(settings);
    this.#lastingWrites = new LastingWrites(settings.id);
    objects.watch((handle) => this.leases.recall(handle));
    // Whoever made it so has the answer first.
    mutualTls.watch(() => setImmediate(() => this.dropUnadmitted()));
    this.#openSessions = new OpenSessions(audit);
  }

  /** Makes the HSM a member of its cluster: in one write, so that a crash leaves a whole HSM or none. */
  static async provision(store: RecordStore, { maskingKey, users }: Provisioning): Promise<void> {
    const trail = new AuditTrail(store, silentLog);
    const changes = [
      ...firstUsers(users),
      { table: 'settings', key: MASKING_KEY, value: maskingKey } as const,
    ];
    const entry = (details: AuditDetails): AuditEntry => ({ ...byItself(trail.nowUs()), ...details });
    await trail.write(changes, firstRecords(users).map(entry));
  }

  static async open(disk: RecordStore, settings: HsmSettings, log: Log, clock = systemClock): Promise<Hsm> {
    let hsm: Hsm | undefined;
    const store = failingOnDemand(disk, () => hsm?.condition);
    const maskingKey = store.get('settings', MASKING_KEY);
    if (maskingKey === undefined) throw new Error(`${settings.id} is not provisioned`);
    const summary = summaryIn(store);
    const handles = await HandleAllocator.open(store, settings.ordinal);
    const users = await UserTable.open(store, settings.hsmType, log);
    const counts = new ObjectCounts(settings.quota);
    const masking = new MaskingKey(maskingKey);
    maskingKey.fill(0);
    const objects = new TokenObjects(store, counts, (object) => masking.digest(object), summary);
    if (summary === undefined) await objects.versions.complete(objects.count, () => objects.all());
    const trail = new AuditTrail(store, log, clock);
    hsm = new Hsm(
      settings,
      users,
      counts,
      objects,
      handles,
      masking,
      trail,
      new Quorum(store, clock, { users, key: (handle) => objects.get(handle)?.object }),
      new MutualTls(store, () => clock.nowMs()),
      log,
      store,
    );
    const { commandsPerSecond } = settings;
    if (commandsPerSecond !== undefined) hsm.#throttle = new Throttle(commandsPerSecond, clock);
    return hsm;
  }

  get deviceCertificates(): DeviceCertificates | undefined {
    return readDeviceCertificates(this.store);
  }

  /** What the manufacturer does. */
  async keepDeviceCertificates(certificates: DeviceCertificates): Promise<void> {
    await this.store.write([deviceCertificatesChange(certificates)]);
  }

  /**
   * The HSM's content as it is now, in a container that only HSMs open, piece by piece. Clients are served meanwhile.
   * @throws HsmUnavailable from an HSM that answers nobody or has zeroised its keys; CORRUPT_STORE
   */
  backUp(clusterId: string): AsyncGenerator<Buffer> {
    if (this.#condition === 'unreachable' || this.#condition === 'tamper')
      throw new HsmUnavailable('unreachable', `no backup of ${this.settings.id}: ${faults[this.#condition]}`);
    const commandsGiven = (): number => this.commandCounts().reduce((sum, [, count]) => sum + count, 0);
    const { settings, store, maskingKey, audit } = this;
    return backUp({ settings, store, maskingKey, audit, commandsGiven }, clusterId);
  }

  /** Throws HsmUnavailable while it answers nobody, or not this client. */
  connect(options: HsmConnectOptions = {}): HsmConnection {
    const { allowed = () => undefined, presented, dropped = () => undefined, ...switches } = options;
    if (this.#condition === 'unreachable')
      throw new HsmUnavailable('unreachable', `${this.settings.id} does not answer`);
    if (!this.mutualTls.admits(presented)) throw new NotAdmitted(this.settings.id);
    return this.#connection(this.#session(allowed, dropped, switches, presented));
  }

  /** Another HSM of the cluster, which has proved that it is one. */
  connectPeer(): HsmConnection {
    const session = this.#session(
      () => undefined,
      () => undefined,
    );
    session.login(applianceUser);
    return this.#connection(session);
  }

  #session(
    allowed: DeviationListener,
    dropped: () => void,
    switches: ClientSwitches = {},
    presented?: readonly Buffer[],
  ): HsmSession {
    const { hsmType } = this.settings;
    const profile = profileOf(this.settings.profile, switches);
    const certificateStorage =
      switches.certificateStorage === undefined
        ? this.settings.certificateStorage
        : certificateSwitch(hsmType, switches.certificateStorage);
    const ecdhWithoutKdf = switches.ecdhWithoutKdf ?? this.settings.ecdhWithoutKdf ?? false;
    const handle = FIRST_SESSION + (this.#sessions++ % SESSION_NUMBERS);
    const { sessionWrappingKeys = false } = switches;
    const options = { certificateStorage, ecdhWithoutKdf, sessionWrappingKeys };
    const session = new HsmSession(this, new Gate(profile, allowed), handle, options, presented);
    this.#openSessions.add(session, dropped);
    return session;
  }

  #connection(session: HsmSession): HsmConnection {
    return {
      hsmId: this.settings.id,
      send: (name, request, cause) =>
        this.#isPlain
          ? this.#run(session, name, request, cause)
          : this.#runUnder(session, name, request, cause),
      ...this.leases.lenderTo(session, () => this.#isPlain),
      close: () => this.#openSessions.close(session),
    };
  }

  /** It simply does what it is told. */
  get #isPlain(): boolean {
    return this.#condition === undefined && this.#throttle === undefined;
  }

  /** Connections that are open now. */
  get openSessions(): number {
    return this.#openSessions.count;
  }

  /** How often each command was given, those that never were left out. */
  commandCounts(): [CommandName, number][] {
    this.leases.settle();
    return this.#commands.all();
  }

  /** Under enforcement, connections that are none of mutual TLS end. */
  dropUnadmitted(except?: HsmSession): void {
    this.#openSessions.dropClients(
      (session) => session !== except && !this.mutualTls.admits(session.presented),
    );
  }

  /** Catches up with the other HSMs, if it has been told how to and has not been tampered with. */
  async synchronize(): Promise<void> {
    if (this.#condition !== 'tamper' && this.#condition !== 'unreachable') await this.catchUp?.();
  }

  get condition(): Condition | undefined {
    return this.#condition;
  }

  /** Limited-write mode (limited-writes.ts), until told otherwise: the other HSMs may write all the same. Resolves when writes that were
   * under way are done. */
  limitWrites(limited: boolean): Promise<void> {
    return this.#lastingWrites.limit(limited);
  }

  /** Whether a client is logged in. */
  get inUse(): boolean {
    return this.logins.anybodyBut(applianceUser);
  }

  /** Serves peers only until it has caught up with those that can be reached. */
  async join(): Promise<void> {
    this.leases.recall();
    this.#condition = 'joining';
    await this.synchronize();
    if (this.#condition === 'joining') this.#condition = undefined;
  }

  /** Makes something go wrong, until `heal`. What went wrong before is healed first: it comes back with what it has missed. */
  async fail(fault: Fault): Promise<void> {
    if (this.#condition === fault) return;
    if (this.#condition !== undefined) await this.join();
    this.log.warn({ hsm: this.settings.id, fault }, faults[fault]);
    this.leases.recall();
    this.#condition = fault;
    if (fault === 'tamper') await this.objects.zeroise();
    if (losesSessions.has(fault)) this.#openSessions.dropClients();
    if (fault === 'tamper') this.onTampered?.();
  }

  /** Ends a fault. What the HSM missed meanwhile, and all keys if it had zeroised them, it gets from the others before it serves
   * anybody. */
  async heal(): Promise<void> {
    this.log.info({ hsm: this.settings.id }, 'healed');
    await this.join();
  }

  /** What an HSM that simply does what it is told does not come to. */
  #runUnder<N extends CommandName>(
    session: HsmSession,
    name: N,
    request: RequestOf<N>,
    cause: string | undefined,
  ): Eventually<AnswerOf<N>> {
    const { id } = this.settings;
    if (!session.isPeer && mayBeRefused(name) && this.#throttle?.admits() === false) throw busy(id);
    const run = () => this.#run(session, name, request, cause);
    if (this.#condition === undefined) return run();
    return underCondition(this.#condition, session, id, name, request, run);
  }

  #run<N extends CommandName>(
    session: HsmSession,
    name: N,
    request: RequestOf<N>,
    cause: string | undefined,
  ): Eventually<AnswerOf<N>> {
    const rows = steps[name];
    const { at, plain, writes, recalls } = rows;
    if (session.closed)
      throw new HsmUnavailable('unreachable', `${this.settings.id} has ended the connection`);
    this.#commands.given(at);
    if (plain.login !== 'none') session.requireLogin(plain.login);
    const lasts = writes !== undefined && !session.isPeer && writes(session, request);
    if (recalls === 'nothing' && !lasts) return this.#perform(session, rows, request, cause);
    const perform = (): Eventually<AnswerOf<N>> => this.#perform(session, rows, request, cause);
    const run = lasts ? () => this.#lastingWrites.run(perform) : perform;
    if (recalls === 'nothing') return run();
    return this.leases.around(recalls === 'key' ? (request as { handle: number }).handle : undefined, run);
  }

  #perform<N extends CommandName>(
    session: HsmSession,
    { plain, guard, looks, row }: Steps,
    request: RequestOf<N>,
    cause: string | undefined,
  ): Eventually<AnswerOf<N>> {
    const needs = guard?.(session, request);
    const command = needs === undefined ? plain : guarded(plain, needs, looks);
    const run = (write: Write): Eventually<unknown> => command.run(session, request as never, cause, write);
    const details = row?.before(session, request);
    if (row === undefined || details === undefined) return run(this.#write) as Eventually<AnswerOf<N>>;
    return audited(this.audit, session.handle, row, request, details, run) as Eventually<AnswerOf<N>>;
  }

  async close(): Promise<void> {
    this.leases.recall();
    const summary = await this.objects.end();
    await this.audit.close();
    try {
      await this.store.write([summaryChange(this.store, summary)]);
    } catch (error) {
      this.log.info({ hsm: this.settings.id }, `the next start takes longer: ${describeError(error)}`);
    }
    await this.store.close();
  }
}
