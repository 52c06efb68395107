import { randomBytes } from '../../crypto/index.js';
import type { User } from '../user-records.js';
import { isKeyService, type Service, serviceNumber } from './services.js';

/** "One 80-byte record per HSM" (reference management-tools, section 6.7). */
export const TOKEN_BYTES = 80;
const NAME_BYTES = 32;

/** Somebody who has signed a token, with the key that was registered then. */
export interface Approver {
  readonly user: User;
  readonly publicKey: Buffer;
}

/** For one use of a service by whoever holds it. */
export interface Token {
  readonly id: number;
  readonly service: Service;
  /** The key that it is for: of services for keys. */
  readonly key?: number | undefined;
  readonly user: User;
  /** The connection that asked for it: it dies with its login. */
  readonly holder: object;
  readonly createdMs: number;
  /** When it first had as many approvals as it takes. */
  approvedMs?: number;
  readonly record: Buffer;
  readonly approvers: Map<number, Approver>;
  /** A command is under way with it. */
  taken: boolean;
}

/** The first field: 1 in the sample of admins, 2 in that of a key. */
const formOf = (service: Service): number => (isKeyService(service) ? 2 : 1);

/** "approval_data" of section 6.7: u16 form, u16 service, u32 id, u64 key handle or 0, 16 random bytes, the user's name, u64 time,
 * u64 0. */
export function tokenRecord({
  id,
  service,
  key = 0,
  user,
  createdMs,
}: Pick<Token, 'id' | 'service' | 'key' | 'user' | 'createdMs'>): Buffer {
  const record = Buffer.alloc(TOKEN_BYTES);
  record.writeUInt16BE(formOf(service), 0);
  record.writeUInt16BE(serviceNumber(service), 2);
  record.writeUInt32BE(id, 4);
  record.writeBigUInt64BE(BigInt(key), 8);
  randomBytes(16).copy(record, 16);
  record.write(user.name, 32, NAME_BYTES, 'latin1');
  record.writeBigUInt64BE(BigInt(Math.floor(createdMs / 1000)), 64);
  return record;
}

/** The tokens of all HSMs, which stand one behind the other. */
export function recordsIn(approvalData: Buffer): Buffer[] {
  return Array.from({ length: Math.floor(approvalData.length / TOKEN_BYTES) }, (_, at) =>
    approvalData.subarray(at * TOKEN_BYTES, (at + 1) * TOKEN_BYTES),
  );
}
