import type { Eventually } from '../base/eventually.js';
import type { ClusterClient } from '../cluster/cluster-client.js';
import type { MechanismTable } from '../mechanisms/mechanism-table.js';
import { ckr } from '../pkcs11/ckr.js';
import { CKS } from '../pkcs11/constants.js';
import { LastOperation } from './last-operation.js';
import type { ActiveOperation, OperationKind } from './operations.js';
import { Search } from './search.js';
import type { Token } from './slot.js';

/** A PKCS#11 session: at most one operation of each kind, and the session objects it made. */
export class Session {
  /** Every kind has its place from the beginning: an object that loses members becomes a slow one. */
  readonly #operations: { [Kind in OperationKind]: ActiveOperation<Kind> | undefined } = {
    digest: undefined,
    sign: undefined,
    verify: undefined,
    encrypt: undefined,
    decrypt: undefined,
  };
  readonly search = new Search();
  /** While what carries its frames answers some of its calls (shared-sessions.ts): ends that. */
  stopSharing: (() => void) | undefined;
  /** What may be repeated (repeats.ts). */
  readonly lastOperations: Readonly<Record<OperationKind, LastOperation>> = {
    digest: new LastOperation(),
    sign: new LastOperation(),
    verify: new LastOperation(),
    encrypt: new LastOperation(),
    decrypt: new LastOperation(),
  };
  /** What makes session keys again (repeated-keys.ts). */
  readonly lastGenerated = new LastOperation();
  /** The IV that the HSM has made for the encryption that is about to be begun. */
  madeIv: Buffer | undefined;
  readonly #objects = new Set<number>();
  #closed = false;

  constructor(
    readonly handle: number,
    readonly token: Token,
    readonly readWrite: boolean,
  ) {}

  get client(): ClusterClient {
    return this.token.client;
  }

  /** What the cluster's HSMs can do. */
  get mechanisms(): MechanismTable {
    return this.token.slot.cluster.mechanisms;
  }

  get state(): number {
    if (this.readWrite) return this.token.loggedIn ? CKS.CKS_RW_USER_FUNCTIONS : CKS.CKS_RW_PUBLIC_SESSION;
    return this.token.loggedIn ? CKS.CKS_RO_USER_FUNCTIONS : CKS.CKS_RO_PUBLIC_SESSION;
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** Throws CKR_USER_NOT_LOGGED_IN. */
  requireLogin(): void {
    if (!this.token.loggedIn) throw ckr('CKR_USER_NOT_LOGGED_IN', 'the call needs C_Login');
  }

  /** Throws CKR_OPERATION_ACTIVE. */
  requireIdle(kind: OperationKind): void {
    if (this.#operations[kind] !== undefined)
      throw ckr('CKR_OPERATION_ACTIVE', `a ${kind} operation is active`);
  }

  isActive(kind: OperationKind): boolean {
    return this.#operations[kind] !== undefined;
  }

  begin<Kind extends OperationKind>(kind: Kind, operation: ActiveOperation<Kind>): void {
    this.requireIdle(kind);
    (this.#operations as { [K in Kind]: ActiveOperation<K> | undefined })[kind] = operation;
  }

  /** Puts an operation in the place of the one that stood for it, unless that has ended. */
  replace<Kind extends OperationKind>(
    kind: Kind,
    deferred: ActiveOperation<Kind>,
    operation: ActiveOperation<Kind>,
  ): void {
    if (this.operation(kind) !== deferred)
      throw ckr('CKR_OPERATION_ACTIVE', 'another call uses the operation');
    (this.#operations as { [K in Kind]: ActiveOperation<K> | undefined })[kind] = operation;
  }

  /** Throws CKR_OPERATION_NOT_INITIALIZED. */
  operation<Kind extends OperationKind>(kind: Kind): ActiveOperation<Kind> {
    const operation = this.#operations[kind];
    if (operation === undefined) throw ckr('CKR_OPERATION_NOT_INITIALIZED', `no ${kind} operation is active`);
    return operation as ActiveOperation<Kind>;
  }

  /** Ends an operation, however it ends, and cleanses what it had collected. True if there was one. */
  end(kind: OperationKind): boolean {
    const operation = this.#operations[kind];
    this.#operations[kind] = undefined;
    if (operation !== undefined && 'discard' in operation) operation.discard();
    return operation !== undefined;
  }

  #endAll(): void {
    for (const { stop } of Object.values(this.lastOperations)) stop?.();
    this.lastGenerated.stop?.();
    for (const kind of Object.keys(this.#operations) as OperationKind[]) this.end(kind);
    this.search.end();
  }

  /** Keys are gone after a logout, those of the session altogether: whatever used them ends. */
  forgetKeys(): void {
    this.#endAll();
    this.#objects.clear();
  }

  /** Session objects that were made through this session end with it. One that was finished only after the session was
   * closed ends at once: CKR_SESSION_CLOSED. */
  adopt(...handles: readonly number[]): Eventually<void> {
    for (const handle of handles) this.#objects.add(handle);
    if (!this.#closed) return undefined;
    return this.#destroyObjects().then(() => {
      throw ckr('CKR_SESSION_CLOSED', 'the session was closed while it made an object');
    });
  }

  /** As `adopt`, of what it has made before it was closed. */
  hasMade(handles: readonly number[]): void {
    for (const handle of handles) this.#objects.add(handle);
  }

  disown(handle: number): void {
    this.#objects.delete(handle);
  }

  /** Ends the session with its objects. */
  close(): Eventually<void> {
    this.#closed = true;
    this.#endAll();
    this.stopSharing?.();
    return this.#objects.size === 0 ? undefined : this.#destroyObjects();
  }

  async #destroyObjects(): Promise<void> {
    for (const handle of this.#objects) {
      try {
        await this.client.endSessionObject(handle);
      } catch {
        // Destroyed through another session, or gone with a logout: there is nothing left to do.
      }
    }
    this.#objects.clear();
  }
}
