import type { Clock } from '../../base/clock.js';
import { limits } from '../../base/limits.js';
import type { HsmObject } from '../../objects/hsm-object.js';
import { QUORUM_MAX, QUORUM_MIN } from '../../objects/key-quorum.js';
import { ckr } from '../../pkcs11/ckr.js';
import type { Change, RecordStore } from '../../store/record-store.js';
import { signsData } from '../second-factor.js';
import { settingKey } from '../setting-rows.js';
import type { User } from '../user-records.js';
import {
  type AdminService,
  adminServiceNames,
  approvalsFor,
  isKeyService,
  type Need,
  type Service,
} from './services.js';
import { type Approver, recordsIn, TOKEN_BYTES, type Token, tokenRecord } from './token.js';

/** How many must approve: 1 is nobody but who does it. */
export type QuorumValues = { readonly [S in AdminService]: number };

/** How long tokens live, in seconds: until they are approved, and from then on until they are used. That the second period begins
 * with the approval is a guess. */
export type TokenTimeouts = { readonly [State in TokenState]: number };
export type TokenState = 'generated' | 'approved';

/** CloudHSM names no bounds: a token dies with its login, and none lives longer than a day [guess]. */
export const TIMEOUT_MIN_SECONDS = 1;
export const TIMEOUT_MAX_SECONDS = 86_400;

const VALUES = settingKey('quorum-values');
const TIMEOUTS = settingKey('token-timeouts');
/** "By default, tokens expire ten minutes after their creation." */
const TEN_MINUTES: TokenTimeouts = { generated: 600, approved: 600 };
const NO_QUORUM = Object.fromEntries(adminServiceNames.map((service) => [service, 1])) as QuorumValues;

export interface TokenInfo {
  readonly id: number;
  readonly service: Service;
  readonly key?: number | undefined;
  readonly user: string;
  readonly secondsLeft: number;
  readonly required: number;
  readonly approvers: readonly string[];
}

/** A signature of all HSMs' tokens by a registered key. */
export interface Approval {
  readonly name: string;
  readonly signature: Buffer;
}

/** What it has to know of the HSM. */
export interface Surroundings {
  readonly users: { find(name: string): User | undefined; publicKey(name: string): Buffer | undefined };
  key(handle: number): HsmObject | undefined;
}

/** Tokens that a command uses: one of the two is to be called when it has ended. */
export interface Taken {
  spend(): void;
  giveBack(): void;
}

const INVALID_PAIR = 'Invalid username-signature pair for quorum authorization';

/** What takes several users on one HSM: how many, and the tokens they approve. */
export class Quorum {
  readonly #tokens = new Map<number, Token>();
  #nextId = 1;

  constructor(
    private readonly store: RecordStore,
    private readonly clock: Clock,
    private readonly surroundings: Surroundings,
  ) {}

  get values(): QuorumValues {
    return this.#setting(VALUES, NO_QUORUM);
  }

  get timeouts(): TokenTimeouts {
    return this.#setting(TIMEOUTS, TEN_MINUTES);
  }

  #setting<T extends object>(key: Buffer, usual: T): T {
    const setting = this.store.get('settings', key);
    return setting === undefined
      ? usual
      : { ...usual, ...(JSON.parse(setting.toString('utf8')) as Partial<T>) };
  }

  /** The write that sets a value. Throws CKR_ARGUMENTS_BAD for one that cannot be reached. */
  change(service: AdminService, value: number, officers: number): Change {
    if (!Number.isInteger(value) || value < QUORUM_MIN || value > Math.min(QUORUM_MAX, officers)) {
      const text = `a quorum value is ${QUORUM_MIN} to ${QUORUM_MAX}, and no more than there are COs (${officers})`;
      throw ckr('CKR_ARGUMENTS_BAD', text);
    }
    const values = { ...this.values, [service]: value };
    return { table: 'settings', key: VALUES, value: Buffer.from(JSON.stringify(values)) };
  }

  /** The write that sets timeouts, also of the tokens that there are. Throws CKR_ARGUMENTS_BAD. */
  changeTimeouts(changed: Partial<TokenTimeouts>): Change {
    for (const [state, seconds] of Object.entries(changed))
      if (!Number.isInteger(seconds) || seconds < TIMEOUT_MIN_SECONDS || seconds > TIMEOUT_MAX_SECONDS)
        throw ckr(
          'CKR_ARGUMENTS_BAD',
          `the timeout of ${state} tokens is ${TIMEOUT_MIN_SECONDS} to ${TIMEOUT_MAX_SECONDS} seconds`,
        );
    const timeouts = { ...this.timeouts, ...changed };
    return { table: 'settings', key: TIMEOUTS, value: Buffer.from(JSON.stringify(timeouts)) };
  }

  /** 0: the token's key is gone. */
  #required({ service, key }: Token): number {
    if (!isKeyService(service)) return this.values[service];
    const object = this.surroundings.key(key!);
    return object === undefined ? 0 : approvalsFor(object, service);
  }

  #endMs({ createdMs, approvedMs }: Token): number {
    const { generated, approved } = this.timeouts;
    return approvedMs === undefined ? createdMs + generated * 1000 : approvedMs + approved * 1000;
  }

  #isValid(token: Token): boolean {
    return this.clock.nowMs() < this.#endMs(token) && this.#required(token) > 0;
  }

  /** "HSM key usage and management by a crypto-user": of a key by those whom it belongs to or is shared with, otherwise COs. */
  #mayApprove({ service, key }: Token, { role, identity }: User): boolean {
    if (!isKeyService(service)) return role === 'CO';
    const object = this.surroundings.key(key!);
    return role === 'CU' && (object?.owner === identity || object?.sharedWith.includes(identity) === true);
  }

  /** Who has approved, and could do so now: users who are gone, have another key or no longer have a part in the token's key count
   * no more [guess]. */
  #approvers(token: Token): User[] {
    const { users } = this.surroundings;
    return [...token.approvers.values()]
      .filter(({ user: { id, name }, publicKey }) => {
        const now = users.find(name);
        return (
          now?.id === id && this.#mayApprove(token, now) && users.publicKey(name)?.equals(publicKey) === true
        );
      })
      .map(({ user }) => user);
  }

  /** A token for one use of a service by whoever holds the connection. Throws CKR_ACTION_PROHIBITED: nobody has to approve, or
   * the user has a token for a service of COs already; CKR_DEVICE_MEMORY. */
  create(need: Need, user: User, holder: object): { id: number; record: Buffer } {
    const { service } = need;
    const key = 'key' in need ? need.key.handle : undefined;
    if (this.#requiredFor(need) < QUORUM_MIN)
      throw ckr(
        'CKR_ACTION_PROHIBITED',
        key === undefined
          ? `nothing of service ${service} needs a quorum: set its value first`
          : `key ${key} needs no approvals for ${service}: its quorum values are set when it is made`,
      );
    for (const [id, token] of this.#tokens) if (!this.#isValid(token)) this.#tokens.delete(id);
    // "1 active token per user per service for user/quorum (not for key services)".
    const another = [...this.#tokens.values()].find(
      (token) => token.user.id === user.id && token.service === service,
    );
    if (key === undefined && another !== undefined)
      throw ckr('CKR_ACTION_PROHIBITED', `${user.name} has a token for service ${service}: delete it first`);
    if (this.#tokens.size >= limits.quorumTokens)
      throw ckr('CKR_DEVICE_MEMORY', `the HSM holds ${limits.quorumTokens} tokens already`);
    const id = this.#nextId++;
    const createdMs = this.clock.nowMs();
    const record = tokenRecord({ id, service, key, user, createdMs });
    const approvers = new Map<number, Approver>();
    this.#tokens.set(id, { id, service, key, user, holder, createdMs, record, approvers, taken: false });
    return { id, record };
  }

  /** The tokens among these of all HSMs that this one has given the connection: one, unless somebody made a file of several. */
  #among(approvalData: Buffer, holder: object): Token[] {
    const records = recordsIn(approvalData);
    return [...this.#tokens.values()].filter(
      (token) => token.holder === holder && records.some((record) => record.equals(token.record)),
    );
  }

  /**
   * Counts approvals of a token of this connection: signatures of `approvalData`, the tokens of all HSMs one behind the other.
   * All or none. Throws CKR_ARGUMENTS_BAD when this HSM's is not among them, CKR_SIGNATURE_INVALID.
   */
  approve(holder: object, approvalData: Buffer, approvals: readonly Approval[]): void {
    const token = this.#among(approvalData, holder).find((one) => this.#isValid(one));
    if (token === undefined || approvalData.length % TOKEN_BYTES !== 0)
      throw ckr('CKR_ARGUMENTS_BAD', 'no valid token of this connection is approved');
    const { users } = this.surroundings;
    const approvers = approvals.map(({ name, signature }): Approver => {
      const user = users.find(name);
      const publicKey = users.publicKey(name);
      if (user === undefined || publicKey === undefined || !this.#mayApprove(token, user))
        throw ckr('CKR_SIGNATURE_INVALID', INVALID_PAIR);
      if (!signsData(publicKey, approvalData, signature))
        throw ckr('CKR_SIGNATURE_INVALID', `it is no signature of the token by ${user.name}`);
      return { user, publicKey };
    });
    for (const approver of approvers) token.approvers.set(approver.user.id, approver);
    if (this.#approvers(token).length >= this.#required(token)) token.approvedMs ??= this.clock.nowMs();
  }

  #requiredFor(need: Need): number {
    if ('key' in need) return approvalsFor(need.key, need.service);
    const { values } = this;
    return Math.max(values[need.service], values[need.orMoreFor ?? need.service]);
  }

  /** The token that lets a command pass; undefined where none is needed. Throws CKR_FUNCTION_REJECTED. */
  #fitting(need: Need, holder: object): Token | undefined {
    const required = this.#requiredFor(need);
    if (required < QUORUM_MIN) return undefined;
    const key = 'key' in need ? need.key.handle : undefined;
    let most = -1;
    for (const token of this.#tokens.values()) {
      if (token.holder !== holder || token.service !== need.service || token.key !== key || token.taken)
        continue;
      if (!this.#isValid(token)) continue;
      const approvals = this.#approvers(token).length;
      if (approvals >= required) return token;
      most = Math.max(most, approvals);
    }
    if (most >= 0)
      throw ckr(
        'CKR_FUNCTION_REJECTED',
        `Too few quorum approvals: currently ${most} approvals, but ${required} approvals required`,
      );
    throw ckr(
      'CKR_FUNCTION_REJECTED',
      key === undefined
        ? 'Quorum approval is required for this operation'
        : `Quorum Failed: it takes a ${need.service} token for key ${key} that ${required} of its users have approved`,
    );
  }

  /** Takes the tokens that let a command pass. "One successful operation consumes the token." Throws CKR_FUNCTION_REJECTED. */
  take(needs: readonly Need[], holder: object): Taken {
    const tokens = needs.flatMap((need) => this.#fitting(need, holder) ?? []);
    for (const token of tokens) token.taken = true;
    return {
      spend: () => {
        for (const { id } of tokens) this.#tokens.delete(id);
      },
      // What has been deleted meanwhile, by a logout for instance, stays so.
      giveBack: () => {
        for (const token of tokens) token.taken = false;
      },
    };
  }

  list(): TokenInfo[] {
    return [...this.#tokens.values()]
      .filter((token) => this.#isValid(token))
      .map((token) => ({
        id: token.id,
        service: token.service,
        key: token.key,
        user: token.user.name,
        secondsLeft: Math.ceil((this.#endMs(token) - this.clock.nowMs()) / 1000),
        required: this.#required(token),
        approvers: this.#approvers(token).map(({ name }) => name),
      }));
  }

  /** Deletes the tokens of a user, or all. */
  delete(user: User | undefined): void {
    for (const [id, token] of this.#tokens)
      if (user === undefined || token.user.id === user.id) this.#tokens.delete(id);
  }

  /** Deletes those tokens of a connection that are among these of all HSMs. */
  deleteAmong(approvalData: Buffer, holder: object): void {
    for (const { id } of this.#among(approvalData, holder)) this.#tokens.delete(id);
  }

  /** Tokens die with the login that asked for them. */
  forget(holder: object): void {
    for (const [id, token] of this.#tokens) if (token.holder === holder) this.#tokens.delete(id);
  }
}
