import type { Clock } from '../../base/clock.js';
import { limits } from '../../base/limits.js';
import { randomBytes } from '../../crypto/index.js';
import { ckr } from '../../pkcs11/ckr.js';
import type { Change, RecordStore } from '../../store/record-store.js';
import { signsData } from '../second-factor.js';
import { settingKey } from '../setting-rows.js';
import type { User } from '../user-records.js';
import { type Service, serviceNames, services } from './services.js';

/** "One 80-byte record per HSM" (reference management-tools, section 6.7). */
export const TOKEN_BYTES = 80;
const NAME_BYTES = 32;
const VALIDITY_MS = 600_000;

/** How many must approve: 1 is nobody but who does it. */
export type QuorumValues = { readonly [S in Service]: number };
export const QUORUM_MIN = 2;
export const QUORUM_MAX = 8;

const VALUES = settingKey('quorum-values');
const NO_QUORUM = Object.fromEntries(serviceNames.map((service) => [service, 1])) as QuorumValues;

interface Token {
  readonly id: number;
  readonly service: Service;
  readonly user: User;
  /** The connection that asked for it: it dies with its login. */
  readonly holder: object;
  readonly createdMs: number;
  readonly record: Buffer;
  readonly approvers: Map<number, string>;
}

export interface TokenInfo {
  readonly id: number;
  readonly service: Service;
  readonly user: string;
  readonly secondsLeft: number;
  readonly required: number;
  readonly approvers: readonly string[];
}

/** A signature of all HSMs' tokens by a registered key. */
export interface Approval {
  readonly approver: User;
  readonly publicKey: Buffer;
  readonly signature: Buffer;
}

/** "approval_data" of section 6.7: u16 1, u16 service, u32 id, u64 key handle or 0, 16 random bytes, the user's name, u64 time, u64 0. */
function recordOf(id: number, service: Service, user: User, nowMs: number): Buffer {
  const record = Buffer.alloc(TOKEN_BYTES);
  record.writeUInt16BE(1, 0);
  record.writeUInt16BE(services[service], 2);
  record.writeUInt32BE(id, 4);
  randomBytes(16).copy(record, 16);
  record.write(user.name, 32, NAME_BYTES, 'latin1');
  record.writeBigUInt64BE(BigInt(Math.floor(nowMs / 1000)), 64);
  return record;
}

/** What takes several COs on one HSM: how many, and the tokens they approve. */
export class Quorum {
  readonly #tokens = new Map<number, Token>();
  #nextId = 1;

  constructor(
    private readonly store: RecordStore,
    private readonly clock: Clock,
  ) {}

  get values(): QuorumValues {
    const setting = this.store.get('settings', VALUES);
    return setting === undefined
      ? NO_QUORUM
      : { ...NO_QUORUM, ...(JSON.parse(setting.toString('utf8')) as Partial<QuorumValues>) };
  }

  /** The write that sets a value. Throws CKR_ARGUMENTS_BAD for one that cannot be reached. */
  change(service: Service, value: number, officers: number): Change {
    if (!Number.isInteger(value) || value < QUORUM_MIN || value > Math.min(QUORUM_MAX, officers)) {
      const text = `a quorum value is ${QUORUM_MIN} to ${QUORUM_MAX}, and no more than there are COs (${officers})`;
      throw ckr('CKR_ARGUMENTS_BAD', text);
    }
    const values = { ...this.values, [service]: value };
    return { table: 'settings', key: VALUES, value: Buffer.from(JSON.stringify(values)) };
  }

  #isValid({ createdMs }: Token): boolean {
    return this.clock.nowMs() < createdMs + VALIDITY_MS;
  }

  /** A token for one use of a service by whoever holds the connection. Throws CKR_ACTION_PROHIBITED: the service has no quorum, or
   * the user has a token for it; CKR_DEVICE_MEMORY. */
  create(service: Service, user: User, holder: object): { id: number; record: Buffer } {
    if (this.values[service] < QUORUM_MIN)
      throw ckr('CKR_ACTION_PROHIBITED', `nothing of service ${service} needs a quorum: set its value first`);
    for (const [id, token] of this.#tokens) if (!this.#isValid(token)) this.#tokens.delete(id);
    // "1 active token per user per service".
    for (const token of this.#tokens.values()) {
      if (token.user.id === user.id && token.service === service)
        throw ckr(
          'CKR_ACTION_PROHIBITED',
          `${user.name} has a token for service ${service}: delete it first`,
        );
    }
    if (this.#tokens.size >= limits.quorumTokens)
      throw ckr('CKR_DEVICE_MEMORY', `the HSM holds ${limits.quorumTokens} tokens already`);
    const id = this.#nextId++;
    const createdMs = this.clock.nowMs();
    const record = recordOf(id, service, user, createdMs);
    this.#tokens.set(id, { id, service, user, holder, createdMs, record, approvers: new Map() });
    return { id, record };
  }

  /**
   * Counts approvals of a token of this connection: signatures of `approvalData`, the tokens of all HSMs one behind the other.
   * All or none. Throws CKR_ARGUMENTS_BAD when this HSM's is not among them, CKR_SIGNATURE_INVALID.
   */
  approve(holder: object, approvalData: Buffer, approvals: readonly Approval[]): void {
    const records = Array.from({ length: approvalData.length / TOKEN_BYTES }, (_, at) =>
      approvalData.subarray(at * TOKEN_BYTES, (at + 1) * TOKEN_BYTES),
    );
    const token = [...this.#tokens.values()].find(
      (one) =>
        one.holder === holder && this.#isValid(one) && records.some((record) => record.equals(one.record)),
    );
    if (token === undefined || approvalData.length % TOKEN_BYTES !== 0)
      throw ckr('CKR_ARGUMENTS_BAD', 'no valid token of this connection is approved');
    for (const { approver, publicKey, signature } of approvals) {
      if (!signsData(publicKey, approvalData, signature))
        throw ckr('CKR_SIGNATURE_INVALID', `it is no signature of the token by ${approver.name}`);
    }
    for (const { approver } of approvals) token.approvers.set(approver.id, approver.name);
  }

  /**
   * Takes the token that lets a command of the service pass, if it takes one; what it gives back is to be called when the
   * command has failed. "One successful operation consumes the token." Throws CKR_FUNCTION_REJECTED.
   */
  pass([service, ...others]: readonly [Service, ...Service[]], holder: object): () => void {
    const { values } = this;
    const required = Math.max(values[service], ...others.map((other) => values[other]));
    if (required < QUORUM_MIN) return () => undefined;
    const token = [...this.#tokens.values()].find(
      (one) => one.holder === holder && one.service === service && this.#isValid(one),
    );
    if (token === undefined)
      throw ckr('CKR_FUNCTION_REJECTED', 'Quorum approval is required for this operation');
    if (token.approvers.size < required) {
      const text = `Too few quorum approvals: currently ${token.approvers.size} approvals, but ${required} approvals required`;
      throw ckr('CKR_FUNCTION_REJECTED', text);
    }
    this.#tokens.delete(token.id);
    return () => this.#tokens.set(token.id, token);
  }

  list(): TokenInfo[] {
    const { values } = this;
    return [...this.#tokens.values()]
      .filter((token) => this.#isValid(token))
      .map(({ id, service, user, createdMs, approvers }) => ({
        id,
        service,
        user: user.name,
        secondsLeft: Math.ceil((createdMs + VALIDITY_MS - this.clock.nowMs()) / 1000),
        required: values[service],
        approvers: [...approvers.values()],
      }));
  }

  /** Deletes the tokens of a user, or all. */
  delete(user: User | undefined): void {
    for (const [id, token] of this.#tokens)
      if (user === undefined || token.user.id === user.id) this.#tokens.delete(id);
  }

  /** Tokens die with the login that asked for them. */
  forget(holder: object): void {
    for (const [id, token] of this.#tokens) if (token.holder === holder) this.#tokens.delete(id);
  }
}
