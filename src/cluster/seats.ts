import { andThen, type Eventually, isPromise, orElse } from '../base/eventually.js';
import { type Log, silentLog } from '../base/log.js';
import { forms } from '../hsm/commands/forms.js';
import type { AnswerOf, CommandName, RequestOf } from '../hsm/commands/index.js';
import type { HsmConnection } from '../hsm/hsm.js';
import type { Role } from '../hsm/roles.js';
import { HsmUnavailable, isBusy, isLoss } from '../hsm/unavailable.js';
import type { DeviationListener } from '../objects/gate.js';
import { ckr } from '../pkcs11/ckr.js';
import type { ClientSwitches } from '../wire/hsm-frames.js';
import { Arrivals } from './arrivals.js';
import type { HsmLinks } from './links.js';
import { BUSY_TRIES, backoffMs, type Pause, systemPause } from './pause.js';
import { isMissing, type Login, refusedBy, Seat } from './seat.js';
import { SessionKeys } from './session-keys.js';

export interface SeatOptions {
  readonly allowed?: DeviationListener | undefined;
  readonly switches?: ClientSwitches;
  /** The certificates, DER, by which an application in this process has shown who it is; over TLS the identity does. */
  readonly presented?: readonly Buffer[] | undefined;
  /** How long a call waits for any HSM at all: beyond it the cluster is lost, and with it the login. */
  readonly patienceMs?: number;
  /** "Modes off and standard" (reference 14.2): whether the answer of a busy HSM is a reason to ask again. */
  readonly retries?: boolean;
  readonly pause?: Pause;
  readonly log?: Log;
}

type Credentials = Omit<Login, 'password'> & { readonly password: Buffer };

const PATIENCE_MS = 5_000;

/**
 * The HSMs that one application uses: connections that are made again when they are lost, and the choice among them.
 *
 * One HSM is the home: session keys live there, and what may concern them goes there. What only needs a token key is spread
 * over all HSMs. An HSM that comes (back) gets the login and catches up with the others before anybody relies on it; what is
 * written meanwhile goes to it as well. The password is kept for that, until the logout or until no HSM is left: "the library
 * never logs in again by itself after a full loss" (reference, section 5).
 */
export class Seats {
  readonly #seats = new Map<string, Seat>();
  /** Whoever has to know is told that other HSMs are up, or fewer. */
  onChanged: (() => void) | undefined;
  /** Where nothing is spread, nobody keeps account of them. */
  readonly sessionKeys: SessionKeys;
  readonly #writing = new Set<Promise<unknown>>();
  readonly arrivals: Arrivals;
  readonly #unwatch: () => void;
  #home: Seat | undefined;
  #spreads = false;
  #turn = 0;
  #up: readonly Seat[] = [];
  #credentials: Credentials | undefined;
  #giveUp: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(
    private readonly links: HsmLinks,
    private readonly options: SeatOptions = {},
  ) {
    this.arrivals = new Arrivals(this.#seats, this.#patienceMs);
    this.sessionKeys = new SessionKeys(
      options.log ?? silentLog,
      (tries) => this.#waitsForBusy(tries),
      (home) => [...this.#seats.values()].find(({ connection }) => connection === home)?.lose(),
    );
    this.#update(true);
    this.#unwatch = links.watch(() => this.#update(false));
  }

  /** HSMs that take what is written. */
  get writable(): readonly Seat[] {
    return [...this.#seats.values()].filter(({ writable }) => writable);
  }

  /** Ids of the HSMs that the client relies on. */
  get up(): readonly string[] {
    return this.#up.map(({ hsmId }) => hsmId);
  }

  #update(first: boolean): void {
    const links = new Map(this.links.current().map((link) => [link.hsmId, link]));
    for (const [hsmId, seat] of this.#seats) {
      if (links.get(hsmId) === seat.link) continue;
      this.#seats.delete(hsmId);
      seat.close();
      this.#changed(seat);
    }
    for (const [hsmId, link] of links) {
      if (this.#seats.has(hsmId)) continue;
      const { allowed = () => undefined, switches = {}, presented } = this.options;
      const seat = new Seat(
        link,
        { allowed, switches, presented },
        {
          login: () =>
            this.#credentials && { ...this.#credentials, password: this.#credentials.password.toString() },
          written: async () => void (await Promise.all(this.#writing)),
          changed: (which) => this.#changed(which),
          log: this.options.log ?? silentLog,
        },
      );
      this.#seats.set(hsmId, seat);
      seat.open(first);
    }
    this.#spreads = [...links.values()].some(({ direct }) => !direct);
  }

  #changed(seat: Seat): void {
    this.#up = [...this.#seats.values()].filter(({ isUp }) => isUp);
    if (this.#home === seat && !this.#up.includes(seat)) {
      // Its session keys went with it.
      this.#home = undefined;
      this.sessionKeys.forgetAll();
    }
    this.#home ??= this.#up[0];
    // It may be the only one that has heard of something, as that a key was destroyed.
    if (seat.isUp && seat.hasBeenAway) for (const other of this.#up) if (other !== seat) other.catchUp();
    this.onChanged?.();
    this.arrivals.changed();
    if (this.#up.length > 0) {
      clearTimeout(this.#giveUp);
      this.#giveUp = undefined;
    } else if (!this.#closed) {
      this.#giveUp ??= setTimeout(() => this.#forgetLogin(), this.#patienceMs).unref();
    }
  }

  get #patienceMs(): number {
    return this.options.patienceMs ?? PATIENCE_MS;
  }

  #forgetLogin(): void {
    this.#credentials?.password.fill(0);
    this.#credentials = undefined;
  }

  /** Gives a command to an HSM that can do it, and to another one if that is lost or has not got the key. */
  send<N extends CommandName>(name: N, request: RequestOf<N>, cause?: string): Eventually<AnswerOf<N>> {
    const first = this.sessionKeys.before(name, request);
    if (first !== undefined) return first.then(() => this.send(name, request, cause));
    const seat = this.#spreads ? this.#choose(name, request) : this.#home;
    if (seat === undefined) return this.#elsewhere(undefined, undefined, name, request, cause);
    try {
      const answer = seat.connection!.send(name, request, cause);
      // What an HSM in this process refuses or has not got, it says at once.
      return seat.link.direct || !isPromise(answer)
        ? answer
        : answer.catch((error: unknown) => this.#elsewhere(seat, error, name, request, cause));
    } catch (error) {
      return this.#elsewhere(seat, error, name, request, cause);
    }
  }

  /** Who may let the client do without commands: an HSM in this process. */
  get lender(): HsmConnection | undefined {
    return this.#spreads ? undefined : this.#home?.connection;
  }

  /** Those that such a command goes to, in turns. */
  doing(name: CommandName, request: unknown): readonly HsmConnection[] {
    const seats = this.#isForHome(name, request) ? [this.#home] : this.#up;
    return seats.flatMap((seat) => seat?.connection ?? []);
  }

  #choose(name: CommandName, request: unknown): Seat | undefined {
    if (this.#isForHome(name, request)) return this.#home;
    return this.#up[this.#turn++ % this.#up.length];
  }

  /** What concerns session keys, or may: another HSM would not know them, or would have one that nobody looks for there. */
  #isForHome(name: CommandName, request: unknown): boolean {
    const handle = (request as { handle?: number } | undefined)?.handle;
    return forms[name].anywhere !== true || (handle !== undefined && this.sessionKeys.has(handle));
  }

  #elsewhere<N extends CommandName>(
    seat: Seat | undefined,
    error: unknown,
    name: N,
    request: RequestOf<N>,
    cause: string | undefined,
  ): Eventually<AnswerOf<N>> {
    if (seat !== undefined && isLoss(error)) seat.lose();
    if (isBusy(error)) this.sessionKeys.asksFirst = true;
    const handle = (request as { handle?: number } | undefined)?.handle;
    const othersMayHaveIt = isMissing(error) && this.#seats.size > 1 && !this.sessionKeys.has(handle ?? -1);
    const goesOn = seat === undefined || error instanceof HsmUnavailable || othersMayHaveIt;
    if (isBusy(error) && this.options.retries === false) throw error;
    // A busy HSM has done nothing.
    const repeatable = forms[name].repeatable === true || seat === undefined || isBusy(error);
    if (!goesOn || !repeatable) throw error;
    return this.#retry(seat, error, name, request, cause);
  }

  async #retry<N extends CommandName>(
    first: Seat | undefined,
    error: unknown,
    name: N,
    request: RequestOf<N>,
    cause: string | undefined,
  ): Promise<AnswerOf<N>> {
    const tried = new Set([first]);
    let missing = isMissing(error) ? error : undefined;
    let busy = isBusy(error) ? error : undefined;
    let busyTries = 1;
    let hasWaited = false;
    const isForHome = this.#isForHome(name, request);
    for (;;) {
      const home = isForHome && busy !== undefined ? this.#home : undefined;
      const next = (home === undefined ? this.#up : [home]).find((seat) => !tried.has(seat));
      if (next === undefined) {
        if (busy === undefined && missing !== undefined) {
          // Another one may have it: who was too busy to say, or is away.
          const coming = hasWaited ? undefined : this.arrivals.coming();
          if (coming === undefined) throw missing;
          hasWaited = true;
          await coming;
          continue;
        }
        if (busy !== undefined && !(await this.#waitsForBusy(busyTries++))) throw busy;
        busy = undefined;
        await this.arrivals.any();
        tried.clear();
        continue;
      }
      tried.add(next);
      try {
        return await next.connection!.send(name, request, cause);
      } catch (again) {
        if (isLoss(again)) next.lose();
        // The first one counts: the home knows the session keys, and why it refuses them.
        else if (isMissing(again)) missing ??= again;
        else if (isBusy(again)) busy = again;
        if (!isMissing(again) && !(again instanceof HsmUnavailable)) throw again;
        if (isLoss(again) && forms[name].repeatable !== true) throw again;
      }
    }
  }

  /** Waits longer each time; false when a busy HSM is not to be asked again. */
  async #waitsForBusy(tries: number): Promise<boolean> {
    if (this.options.retries === false || tries >= BUSY_TRIES) return false;
    const { pause = systemPause } = this.options;
    await pause.wait(backoffMs(tries, pause));
    return true;
  }

  /** Gives a command to every HSM that takes what is written, and waits for all of them. None at all: waits for one. */
  async sendToAll<T>(
    command: (connection: HsmConnection) => Eventually<T>,
  ): Promise<PromiseSettledResult<T>[]> {
    if (this.writable.length === 0) await this.arrivals.any();
    const writing = Promise.allSettled(this.writable.map((seat, at) => this.#give(seat, command, at)));
    this.#writing.add(writing);
    return writing.finally(() => this.#writing.delete(writing));
  }

  /** @param at its place: those of this process before it begin to write first, so that the disk works meanwhile */
  async #give<T>(seat: Seat, command: (hsm: HsmConnection) => Eventually<T>, at: number): Promise<T> {
    const first = seat.connection!;
    for (let before = seat.link.direct ? at : 0; before > 0; before--) await undefined;
    for (let tries = 1; ; tries++) {
      try {
        return await command(tries === 1 ? first : seat.connection!);
      } catch (error) {
        if (isLoss(error)) seat.lose();
        if (!isBusy(error) || !(await this.#waitsForBusy(tries))) throw error;
      }
    }
  }

  /** Connections to the HSMs that the client relies on beside the home. */
  get others(): HsmConnection[] {
    return this.#up.filter((seat) => seat !== this.#home).map(({ connection }) => connection!);
  }

  /** Whether an object is on this many of the HSMs that the client relies on. */
  isOn(handle: number, hsms: number): Eventually<boolean> {
    return this.#isOn(this.#up, 0, handle, hsms);
  }

  #isOn(seats: readonly Seat[], at: number, handle: number, hsms: number): Eventually<boolean> {
    if (hsms === 0) return true;
    const seat = seats[at];
    if (seat === undefined) return false;
    return andThen(this.#has(seat, handle), (found) =>
      this.#isOn(seats, at + 1, handle, found ? hsms - 1 : hsms),
    );
  }

  #has(seat: Seat, handle: number, tries = 1): Eventually<boolean> {
    return orElse(
      () =>
        seat.connection === undefined
          ? false
          : andThen(seat.connection.send('locateObject', { handle }), () => true),
      (error) => {
        // It has not got it, or is lost.
        if (!isBusy(error)) return false;
        return this.#waitsForBusy(tries).then((again) => {
          if (!again) throw error;
          return this.#has(seat, handle, tries + 1);
        });
      },
    );
  }

  /** The HSM that has the session keys. Rejects with HsmUnavailable. */
  home(): Eventually<HsmConnection> {
    return this.#home?.connection ?? this.arrivals.any().then(() => this.#home!.connection!);
  }

  /** False after a loss of all HSMs, too. */
  get loggedIn(): boolean {
    return this.#credentials !== undefined;
  }

  /** Commands go to all HSMs: they are elsewhere. */
  get spreads(): boolean {
    return this.#spreads;
  }

  /** Logs in on every HSM: each has its own users, and counts wrong passwords on its own. */
  async login(name: string, password: string, role: Role): Promise<void> {
    if (this.#credentials !== undefined)
      throw ckr('CKR_USER_ALREADY_LOGGED_IN', `${this.#credentials.name} is logged in`);
    await this.arrivals.any();
    // There are no session keys yet: not the one that happened to come first, but the cluster's first.
    this.#home = this.#up[0];
    await this.#loginEverywhere({ name, password, role });
    this.#forgetLogin();
    for (const seat of this.#seats.values()) seat.forgetRefusal();
    this.#credentials = { name, password: Buffer.from(password), role };
  }

  async #loginEverywhere(login: Login): Promise<void> {
    const done: Seat[] = [];
    let lost: unknown;
    const tried = new Set<HsmConnection | undefined>();
    // One alone until one has taken it: there a wrong password counts. And those that are connected meanwhile: they do not know of it yet.
    const next = (): Seat[] => {
      const seats = [...this.#seats.values()].filter(
        (seat) => seat.needsLogin && !tried.has(seat.connection),
      );
      return done.length === 0 ? seats.slice(0, 1) : seats;
    };
    for (let seats = next(); seats.length > 0; seats = next()) {
      for (const { connection } of seats) tried.add(connection);
      const results = await Promise.allSettled(seats.map((seat) => seat.login(login)));
      const isFirst = done.length === 0;
      done.push(...seats.filter((_, at) => results[at]!.status === 'fulfilled'));
      for (const [at, result] of results.entries()) {
        if (result.status === 'fulfilled') continue;
        const seat = seats[at]!;
        if (isLoss(result.reason)) seat.lose();
        lost = result.reason;
        if (lost instanceof HsmUnavailable) continue;
        for (const other of done) void other.logout();
        throw isFirst ? lost : refusedBy(seat, lost);
      }
    }
    if (done.length === 0) throw lost;
  }

  async logout(): Promise<void> {
    this.#forgetLogin();
    this.sessionKeys.letGo();
    await Promise.all([...this.#seats.values()].map((seat) => seat.logout()));
  }

  close(): void {
    this.#closed = true;
    this.#unwatch();
    this.#forgetLogin();
    clearTimeout(this.#giveUp);
    this.sessionKeys.letGo();
    for (const seat of this.#seats.values()) seat.close();
    this.arrivals.changed();
    this.#up = [];
    this.#home = undefined;
  }
}
