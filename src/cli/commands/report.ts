import { existsSync, mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { commandFailure, Failure } from '../../base/errors.js';
import { tryLockFile } from '../../base/host.js';
import { askEngine } from '../control.js';
import type { Home } from '../home.js';
import { readReadinessFile, removeReadinessFile } from '../readiness-file.js';
import { deviating, type ReadinessReport, readinessReport, reportPage } from '../report.js';

export interface ReportOptions {
  readonly json?: boolean;
  readonly failOnDeviation?: boolean;
  readonly clear?: boolean;
}

/** Exit status of `--fail-on-deviation` when there is one. */
const DEVIATIONS_FOUND = 1;

export async function reportCommand(home: Home, options: ReportOptions): Promise<void> {
  if (options.clear) {
    await askOr(home, 'DELETE', () => removeReadinessFile(home));
    console.log('The readiness report begins anew.');
    return;
  }
  const report = await askOr(home, 'GET', () => {
    const kept = readReadinessFile(home);
    return readinessReport(kept?.profile ?? 'compatible', kept?.uses ?? []);
  });
  console.log(options.json ? JSON.stringify(report, null, 2) : reportPage(report));
  if (options.failOnDeviation && deviating(report).length > 0) process.exitCode = DEVIATIONS_FOUND;
}

/** The running engine does it, or, when there is none, `offline` on what the last one has left. Throws NOT_RUNNING for a home
 * that never had one: a gate must not pass because it looked in the wrong place. */
async function askOr(
  home: Home,
  method: 'GET' | 'DELETE',
  // biome-ignore lint/suspicious/noConfusingVoidType: the answer to DELETE is none
  offline: () => ReadinessReport | void,
): Promise<ReadinessReport> {
  try {
    return await askEngine<ReadinessReport>(home, method, '/report');
  } catch (error) {
    const isStopped = error instanceof Failure && error.code === 'NOT_RUNNING';
    if (!isStopped || !existsSync(home.clusterFile)) throw error;
  }
  mkdirSync(dirname(home.lockFile), { recursive: true, mode: 0o700 });
  if (!tryLockFile(home.lockFile)) {
    const text = `an engine on ${home.directory} holds its lock but does not answer: try again`;
    throw commandFailure('ALREADY_RUNNING', text);
  }
  return offline() as ReadinessReport;
}
