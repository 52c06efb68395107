import { askEngine } from '../control.js';
import type { Home } from '../home.js';
import { readReadinessFile, removeReadinessFile } from '../readiness-file.js';
import { deviating, type ReadinessReport, readinessReport, reportPage } from '../report.js';
import { askEngineOr } from '../stopped-home.js';

export interface ReportOptions {
  readonly json?: boolean;
  readonly failOnDeviation?: boolean;
  readonly clear?: boolean;
}

/** Exit status of `--fail-on-deviation` when there is one. */
const DEVIATIONS_FOUND = 1;

export async function reportCommand(home: Home, options: ReportOptions): Promise<void> {
  if (options.clear) {
    await askEngineOr<unknown>(
      () => askEngine(home, 'DELETE', '/report'),
      home,
      () => removeReadinessFile(home),
    );
    console.log('The readiness report begins anew.');
    return;
  }
  const report = await askEngineOr(
    () => askEngine<ReadinessReport>(home, 'GET', '/report'),
    home,
    () => {
      const kept = readReadinessFile(home);
      return readinessReport(kept?.profile ?? 'compatible', kept?.uses ?? []);
    },
  );
  console.log(options.json ? JSON.stringify(report, null, 2) : reportPage(report));
  if (options.failOnDeviation && deviating(report).length > 0) process.exitCode = DEVIATIONS_FOUND;
}
