import { existsSync } from 'node:fs';
import { silentLog } from '../base/log.js';
import { openHsmStore } from '../control-plane/hosting/hsm-store.js';
import type { AuditRecord } from '../hsm/audit/entry.js';
import { type AuditCheck, AuditTrail } from '../hsm/audit/trail.js';
import { type AuditPage, auditAnswer } from './audit-answer.js';
import { askEngine } from './control.js';
import type { Home } from './home.js';
import { askRunning, hsmsHere, isClient, isNotRunning, lockHome, lockHsm } from './listeners.js';

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

/** Throws NOT_RUNNING for a home that never had an engine, ALREADY_RUNNING, CORRUPT_STORE. */
export async function openAuditLogs(home: Home): Promise<AuditLogs> {
  const answered = await askRunning(home, async (listener) => {
    const ask: Ask = (path, timeoutMs) => askEngine(listener, 'GET', path, timeoutMs);
    await ask('/logs');
    return ask;
  }).catch((error) => {
    if (!isNotRunning(error) || !existsSync(home.clusterFile)) throw error;
    return new Map<string | undefined, Ask>();
  });
  const ofEngine = answered.get(undefined);
  if (ofEngine === undefined) lockHome(home);
  else if (!(await isClient(home))) return logsBy(ofEngine, async () => undefined);
  return logsOfHsms(home, answered);
}

/** Asks the processes of HSMs that run, and reads what the others have left. */
function logsOfHsms(home: Home, running: ReadonlyMap<string | undefined, Ask>): AuditLogs {
  const here = hsmsHere(home);
  const stopped = here.filter((id) => !running.has(id));
  for (const id of stopped) lockHsm(home, id);
  const stores = stopped.map((id) => ({ id, store: openHsmStore(home.hsmsDirectory, id) }));
  const trails = new Map(stores.map(({ id, store }) => [id, new AuditTrail(store, silentLog)]));
  const asked: Ask = async <T>(path: string, timeoutMs?: number) => {
    if (path === '/logs') return here as T;
    const [, , id] = path.split('/');
    const ask = running.get(id);
    return ask === undefined ? ((await auditAnswer(trails, path)) as T) : ask<T>(path, timeoutMs);
  };
  return logsBy(asked, async () => {
    await Promise.all(stores.map(({ store }) => store.close()));
  });
}
