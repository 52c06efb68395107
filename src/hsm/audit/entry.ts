import { type HsmResponse, hsmResponses } from '../hsm-responses.js';
import { type Role, roleRows } from '../roles.js';
import { canonicalName } from '../user-rules.js';
import { commandTypeOf, type LogType, logTypes, type Opcode, opcodes } from './opcodes.js';

/** What a command did, as the log has it. Never a secret: handles, names and roles only. */
export interface AuditDetails {
  readonly opcode: Opcode;
  readonly logType: LogType;
  /** The user it was done to. */
  readonly user?: { readonly name: string; readonly role: Role } | undefined;
  /** Of a private or secret key, and of a public key: 0 where there is none. */
  readonly keys?: { readonly secret: number; readonly public: number } | undefined;
}

export interface AuditEntry extends AuditDetails {
  /** Microseconds since 1970. */
  readonly timeUs: number;
  readonly sessionHandle: number;
  readonly response: HsmResponse;
}

/** An entry in its place in the log. */
export interface AuditRecord extends AuditEntry {
  readonly sequence: number;
  readonly rebootCounter: number;
}

export const minimal = (opcode: Opcode): AuditDetails => ({ opcode, logType: 'MINIMAL_LOG_ENTRY' });

/** What nobody's session did. */
export const byItself = (timeUs: number) => ({ timeUs, sessionHandle: 0, response: 'SUCCESS' as const });

/** Of what is no name nothing is logged: it may be a password at the wrong place. */
export function aboutUser(opcode: Opcode, { name, role }: { name: string; role: Role }): AuditDetails {
  return { opcode, logType: 'MGMT_USER_DETAILS_LOG', user: { name: canonicalName(name) ?? '', role } };
}

/** A CK_ULONG beyond 2^53, which a program may take for a handle, is none of ours, nor exactly known here. */
const handleOrNone = (handle: number): number => (Number.isSafeInteger(handle) ? handle : 0);

/** `secret`: the handle of a secret or private key, "also of a public key that is alone". */
export function aboutKey(opcode: Opcode, secret: number, publicKey = 0): AuditDetails {
  const keys = { secret: handleOrNone(secret), public: handleOrNone(publicKey) };
  return { opcode, logType: 'MGMT_KEY_DETAILS_LOG', keys };
}

const hex = (value: number): string => `0x${value.toString(16)}`;

/** `MM/DD/YY HH:MM:SS.uuuuuu`, UTC. */
function timeText(timeUs: number): string {
  const [date, time] = new Date(timeUs / 1000).toISOString().split('T') as [string, string];
  const [year, month, day] = date.split('-') as [string, string, string];
  const microseconds = String(timeUs % 1_000_000).padStart(6, '0');
  return `${month}/${day}/${year.slice(2)} ${time.slice(0, 8)}.${microseconds}`;
}

/** The record as CloudHSM's logs have it (reference management-tools, section 8.1). */
export function recordText(record: AuditRecord): string {
  const { opcode, response, logType, user, keys } = record;
  const lines = [
    `Time: ${timeText(record.timeUs)}, usecs:${record.timeUs}`,
    `Sequence No : ${hex(record.sequence)}`,
    `Reboot counter : ${hex(record.rebootCounter)}`,
    `Command Type(hex) : ${commandTypeOf(opcode)}`,
    `Opcode : ${opcode} (${hex(opcodes[opcode])})`,
    `Session Handle : ${hex(record.sessionHandle)}`,
    `Response : ${hsmResponses[response].number}:${hsmResponses[response].text}`,
    `Log type : ${logType} (${logTypes[logType]})`,
  ];
  if (user !== undefined) {
    const { auditName, number } = roleRows[user.role];
    lines.push(`User Name : ${user.name}`, `User Type : ${auditName} (${number})`);
  }
  if (keys !== undefined)
    lines.push(`Priv/Secret Key Handle : ${keys.secret}`, `Public Key Handle : ${keys.public}`);
  return lines.join('\n');
}
