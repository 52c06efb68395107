import { andThen, type Eventually, orElse } from '../base/eventually.js';
import { silentLog } from '../base/log.js';
import type { Created } from '../hsm/commands/create.js';
import type { AnswerOf, CommandName, RequestOf } from '../hsm/commands/index.js';
import type { HsmConnection } from '../hsm/hsm.js';
import type { KeyAccess } from '../hsm/key-access.js';
import type { Lease, LeaseRequest } from '../hsm/leases.js';
import type { ReadLease, ReadRequest } from '../hsm/read-lease.js';
import type { Role } from '../hsm/roles.js';
import { ckr } from '../pkcs11/ckr.js';
import type { Mechanism } from '../pkcs11/layouts.js';
import type { Attribute, Template } from '../pkcs11/template.js';
import { AllAskedKeys, type AskedKeys } from './asked-keys.js';
import { type AskedOperation, AskedOperations, type AskedRequest } from './asked-operation.js';
import { type ChangeCommand, Changes } from './changes.js';
import { findOnAll } from './finding.js';
import { AvailabilityCheck, type KeyAvailability } from './key-availability.js';
import type { HsmLinks } from './links.js';
import { NewObjects } from './new-objects.js';
import { type SeatOptions, Seats } from './seats.js';

export interface ClientOptions extends SeatOptions {
  /** On how many HSMs a new token object must be (create_object_minimum_nodes, 1 by default: reference 14.1). */
  readonly minimumNodes?: number;
  /** 'required' without it. */
  readonly keyAvailability?: KeyAvailability;
}

/** Commands that have a method of their own, which looks whether the key may be used. */
type KeyCommand = 'findObjects' | 'describeKey' | 'deriveKey' | 'wrapKey' | 'unwrapKey';

/**
 * One application's view of a cluster: many HSMs that look like one.
 *
 * Commands on keys go to one HSM; session keys live there and nowhere else. What creates or removes a token object
 * goes to every HSM, at the same time, and is answered when it is durable on all that can be reached (client-side
 * synchronisation, reference section 7); the others catch up when they come back.
 */
export class ClusterClient {
  readonly #seats: Seats;
  readonly #availability: AvailabilityCheck;
  readonly #asked = new AskedOperations();
  readonly #askedKeys: AllAskedKeys;
  readonly #newObjects: NewObjects;
  readonly #changes: Changes;
  #role: Role = 'CU';

  constructor(links: HsmLinks, options: ClientOptions = {}) {
    if (links.current().length === 0) throw ckr('CKR_TOKEN_NOT_PRESENT', 'the cluster has no HSM');
    this.#seats = new Seats(links, options);
    this.#availability = new AvailabilityCheck(this.#seats, options.keyAvailability);
    this.#askedKeys = new AllAskedKeys(this.#seats);
    this.#newObjects = new NewObjects(this.#seats, this.#availability, options);
    this.#changes = new Changes(this.#seats, options.log ?? silentLog);
    this.#seats.onChanged = () => {
      this.#asked.recall();
      this.#askedKeys.recall();
    };
  }

  /** Ids of the HSMs that the client relies on at the moment. */
  get up(): readonly string[] {
    return this.#seats.up;
  }

  /** HSMs are elsewhere. */
  get spreads(): boolean {
    return this.#seats.spreads;
  }

  /** False also where all HSMs were lost since the login, and it with them. */
  get loggedIn(): boolean {
    return this.#seats.loggedIn;
  }

  /** Logs in on every HSM, and on those that come later. */
  async login(name: string, password: string, role: Role = 'CU'): Promise<void> {
    await this.#seats.login(name, password, role);
    this.#role = role;
  }

  async logout(): Promise<void> {
    await this.#seats.logout();
  }

  findObjects(template: Template, cause?: string): Eventually<readonly number[]> {
    return findOnAll(this.#seats, template, cause);
  }

  /** A command that one HSM does. `cause` as in HsmConnection. */
  send<N extends Exclude<CommandName, KeyCommand>>(
    name: N,
    request: RequestOf<N>,
    cause?: string,
  ): Eventually<AnswerOf<N>> {
    return this.#seats.send(name, request, cause);
  }

  /** Whether a key may be used so, and its shape. Throws what the HSM's command does, and CKR_FUNCTION_FAILED for a token
   * key on fewer than two HSMs. */
  describeKey(request: RequestOf<'describeKey'>, cause?: string): Eventually<AnswerOf<'describeKey'>> {
    return andThen(this.#seats.send('describeKey', request, cause), (key) => {
      if (!key.token || this.#availability.isKnown(request.handle)) return key;
      return andThen(this.#availability.require(request.handle, cause), () => key);
    });
  }

  /** Has what was just done repeated without commands, if the HSM and the rules of the cluster allow that. */
  lease(request: LeaseRequest): Lease | undefined {
    const lease = this.#seats.lender?.lease?.(request);
    if (lease === undefined || !lease.token || this.#availability.isKnown(request.handle)) return lease;
    lease.end();
    return undefined;
  }

  /** Has HSMs elsewhere asked again for what was just done, without JavaScript. */
  askAgain(request: AskedRequest): AskedOperation | undefined {
    if (!this.#seats.spreads || !this.#availability.isKnown(request.handle)) return undefined;
    return this.#asked.begin(this.#seats.doing(request.use, request), request);
  }

  /** Has the home make more session keys like one that it has just made, without JavaScript. */
  makeAgain(request: RequestOf<'generateKey'>, cause: string, made: number): AskedKeys | undefined {
    return this.#askedKeys.begin(request, cause, made);
  }

  /** Has what was just read answered again without a command, if the HSM allows that. */
  read(request: ReadRequest): ReadLease | undefined {
    return this.#seats.lender?.read?.(request);
  }

  /** For keys that are used without `describeKey`: throws CKR_FUNCTION_FAILED for a token key on fewer than two HSMs, unless that
   * is allowed. What is no key is left to the command that uses it. */
  requireAvailable(handle: number, cause?: string): Eventually<void> {
    if (this.#availability.isKnown(handle)) return undefined;
    const located = orElse(
      () => this.locate(handle),
      () => ({ token: false }),
    );
    return andThen(located, ({ token }) => (token ? this.#availability.require(handle, cause) : undefined));
  }

  /** Where an object lives. Session keys of HSMs elsewhere are known without asking: whether one is still there, the command that
   * is given next finds out. Throws CKR_OBJECT_HANDLE_INVALID. */
  locate(handle: number): Eventually<AnswerOf<'locateObject'>> {
    return this.#seats.sessionKeys.has(handle)
      ? { token: false }
      : this.#seats.send('locateObject', { handle });
  }

  /** The handle of the new key. */
  generateKey(mechanism: number, template: Template, cause?: string, access?: KeyAccess): Eventually<number> {
    return andThen(this.#seats.send('generateKey', { mechanism, template, access }, cause), (created) =>
      this.#newObjects.settle([created], cause),
    );
  }

  generateKeyPair(
    mechanism: number,
    publicTemplate: Template,
    privateTemplate: Template,
    cause?: string,
    access?: KeyAccess,
  ): Eventually<{ publicKey: number; privateKey: number }> {
    const request = { mechanism, publicTemplate, privateTemplate, access };
    const pair = this.#seats.send('generateKeyPair', request, cause);
    return andThen(pair, ({ publicKey, privateKey }) =>
      andThen(this.#newObjects.settle([publicKey, privateKey], cause), () => ({
        publicKey: publicKey.handle,
        privateKey: privateKey.handle,
      })),
    );
  }

  /** The handle of a key derived from another one. */
  deriveKey(handle: number, mechanism: Mechanism, template: Template, cause?: string): Eventually<number> {
    const request = { handle, mechanism, template };
    return andThen(this.requireAvailable(handle, cause), () =>
      andThen(this.#seats.send('deriveKey', request, cause), (created) =>
        this.#newObjects.settle([created], cause),
      ),
    );
  }

  createObject(template: Template, cause?: string): Eventually<number> {
    return andThen(this.#seats.send('createObject', { template }, cause), (created) =>
      this.#newObjects.settle([created], cause),
    );
  }

  /** A masked object of one's own again, under a new handle: that handle. */
  copyMaskedObject(masked: Buffer, cause?: string): Eventually<number> {
    return andThen(this.#seats.send('copyMaskedObject', { masked }, cause), (created) =>
      this.#newObjects.settle([created], cause),
    );
  }

  copyObject(handle: number, template: Template, cause?: string): Eventually<number> {
    return andThen(this.#seats.send('copyObject', { handle, template }, cause), (created) =>
      this.#newObjects.settle([created], cause),
    );
  }

  /** Wraps a key with another one, both of which must be available [guess]. */
  wrapKey(request: RequestOf<'wrapKey'>, cause?: string): Eventually<AnswerOf<'wrapKey'>> {
    return andThen(this.requireAvailable(request.wrappingKey, cause), () =>
      andThen(this.requireAvailable(request.handle, cause), () =>
        this.#seats.send('wrapKey', request, cause),
      ),
    );
  }

  /** Unwraps a key. Whether it becomes a token key may be for the unwrapping key's own template to say: `accept` hears of
   * it, and may throw, before the key is anywhere. */
  unwrapKey(
    request: RequestOf<'unwrapKey'>,
    accept: (token: boolean) => void,
    cause?: string,
  ): Eventually<{ handle: number; token: boolean }> {
    const unwrapped = andThen(this.requireAvailable(request.unwrappingKey, cause), () =>
      this.#seats.send('unwrapKey', request, cause),
    );
    return andThen(unwrapped, (created) => {
      const token = created.masked !== undefined;
      accept(token);
      return andThen(this.#newObjects.settle([created], cause), (handle) => ({ handle, token }));
    });
  }

  /** `accept` hears whether it is a token object, and may throw, before anything is changed. */
  setAttributes(
    handle: number,
    template: Template,
    cause?: string,
    accept?: (token: boolean) => void,
  ): Eventually<void> {
    // All HSMs allow the same: one of them reports it.
    return this.#whereItIs(
      handle,
      (connection, first) =>
        connection.send('setAttributes', { handle, template }, first ? cause : undefined),
      accept,
    );
  }

  /** Sets one attribute of a key as CloudHSM's tools do; see the HSM's command. */
  setKeyAttribute(handle: number, attribute: Attribute): Eventually<void> {
    const onOne = (connection: HsmConnection): Eventually<Created | undefined> =>
      connection.send('setKeyAttribute', { handle, attribute });
    // An admin has no session keys, and no other HSM knows of a session key.
    if (this.#role === 'CO')
      return this.#changes.onAll(handle, (connection) => andThen(onOne(connection), () => undefined));
    return this.#whereItIs(handle, (connection) =>
      andThen(
        onOne(connection),
        (promoted) =>
          promoted &&
          andThen(this.#newObjects.settle([promoted]), () => {
            this.#seats.sessionKeys.forget(handle);
            return connection.send('endSessionObject', { handle });
          }),
      ),
    );
  }

  /** Lets another crypto user use a token key, on every HSM. */
  shareKey(handle: number, user: string): Promise<void> {
    return this.#changes.onAll(handle, (connection) => connection.send('shareKey', { handle, user }));
  }

  unshareKey(handle: number, user: string): Promise<void> {
    return this.#changes.onAll(handle, (connection) => connection.send('unshareKey', { handle, user }));
  }

  /** Removes an object from every HSM that has it; `accept` as for `setAttributes`. Who destroys a session key need not wait for an
   * HSM elsewhere that will not refuse it. */
  destroyObject(handle: number, accept: (token: boolean) => void = () => undefined): Eventually<void> {
    this.#availability.forget(handle);
    const { sessionKeys } = this.#seats;
    if (sessionKeys.mayLeave(handle)) {
      accept(false);
      return andThen(this.#seats.home(), (home) => sessionKeys.leave(home, handle));
    }
    const destroyed = this.#whereItIs(
      handle,
      (connection) => connection.send('destroyObject', { handle }),
      accept,
    );
    return andThen(destroyed, () => {
      sessionKeys.forget(handle);
      sessionKeys.asksFirst = false;
    });
  }

  /** Ends a session object along with the session that made it. */
  endSessionObject(handle: number): Eventually<void> {
    this.#seats.sessionKeys.forget(handle);
    return this.#seats.send('endSessionObject', { handle });
  }

  /** Runs a command on an object on every HSM that has it: a token object's all, a session object's one. An HSM that does
   * not have it is no failure as long as another one had. */
  #whereItIs(
    handle: number,
    command: ChangeCommand,
    accept: (token: boolean) => void = () => undefined,
  ): Eventually<void> {
    return andThen(this.locate(handle), ({ token }) => {
      accept(token);
      if (token) return this.#changes.onAll(handle, command);
      this.#seats.sessionKeys.changes(handle);
      return andThen(this.#seats.home(), (connection) => command(connection, true));
    });
  }

  close(): void {
    this.#seats.close();
  }
}
