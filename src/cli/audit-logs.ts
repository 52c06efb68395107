import { silentLog } from '../base/log.js';
import type { AuditRecord } from '../hsm/audit/entry.js';
import { type AuditCheck, AuditTrail } from '../hsm/audit/trail.js';
import { type AuditPage, auditAnswer } from './audit-answer.js';
import { homeHsms } from './cluster-file.js';
import { openHsmStore } from './cluster-home.js';
import { askEngine } from './control.js';
import type { Home } from './home.js';
import { askEngineOr } from './stopped-home.js';

/** A long log is read as a whole. */
const CHECK_TIMEOUT_MS = 120_000;

/** Where a command reads logs: a running engine, or the home of one that has ended. */
export interface AuditLogs {
  hsmIds(): Promise<readonly string[]>;
  read(hsmId: string): Promise<readonly AuditRecord[]>;
  check(hsmId: string): Promise<AuditCheck>;
  close(): Promise<void>;
}

type Ask = <T>(path: string, timeoutMs?: number) => Promise<T>;

function logsBy(ask: Ask, close: () => Promise<void>): AuditLogs {
  return {
    hsmIds: () => ask('/logs'),
    check: (hsmId) => ask(`/logs/${hsmId}/check`, CHECK_TIMEOUT_MS),
    read: async (hsmId) => {
      const all: AuditRecord[] = [];
      for (let from = 0; ; ) {
        const { records, next } = await ask<AuditPage>(`/logs/${hsmId}/${from}`);
        all.push(...records);
        if (records.length === 0 || next <= from) return all;
        from = next;
      }
    },
    close,
  };
}

/** Throws NOT_RUNNING for a home that never had an engine, CORRUPT_STORE. */
export async function openAuditLogs(home: Home): Promise<AuditLogs> {
  const running: Ask = (path, timeoutMs) => askEngine(home, 'GET', path, timeoutMs);
  const ofEngine = async (): Promise<AuditLogs> => {
    await running('/logs');
    return logsBy(running, async () => undefined);
  };
  return askEngineOr(ofEngine, home, () => logsOfStoppedHome(home));
}

function logsOfStoppedHome(home: Home): AuditLogs {
  const stores = homeHsms(home).map((id) => ({ id, store: openHsmStore(home.hsmsDirectory, id) }));
  const trails = new Map(stores.map(({ id, store }) => [id, new AuditTrail(store, silentLog)]));
  const asked: Ask = async <T>(path: string) => (await auditAnswer(trails, path)) as T;
  return logsBy(asked, async () => {
    await Promise.all(stores.map(({ store }) => store.close()));
  });
}
