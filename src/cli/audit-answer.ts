import type { AuditRecord } from '../hsm/audit/entry.js';
import type { AuditTrail } from '../hsm/audit/trail.js';

const RECORDS_AT_A_TIME = 1000;

/** The audit logs of some HSMs, by their ids. */
export type AuditTrails = ReadonlyMap<string, AuditTrail>;

/** Some records of a log, and the number of the one to go on with. */
export interface AuditPage {
  readonly records: readonly AuditRecord[];
  readonly next: number;
}

/** What the control socket answers: `/logs/ID/N` records from N on, `/logs/ID/check` a verification; undefined for anything else. */
export async function auditAnswer(trails: AuditTrails, path: string): Promise<unknown> {
  const [, , hsmId, what] = path.split('/');
  const trail = trails.get(hsmId ?? '');
  if (trail === undefined || what === undefined) return undefined;
  // Who asks has just done what he asks about.
  await trail.flush();
  if (what === 'check') return trail.verify();
  if (!/^\d{1,15}$/.test(what)) return undefined;
  const from = Math.max(Number(what), trail.first);
  const records = trail.read(from, RECORDS_AT_A_TIME);
  return { records, next: Math.min(from + RECORDS_AT_A_TIME, trail.next) } satisfies AuditPage;
}
