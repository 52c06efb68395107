import type { DeviationUse } from '../cryptoki/readiness.js';
import { type DeviationId, deviations, type Profile } from '../objects/deviations.js';
import { bold, table } from './terminal.js';

/** One line of the readiness report: a deviation, as one program's calls to one function were it. */
export interface ReportLine {
  readonly id: DeviationId;
  readonly call: string;
  readonly program: string;
  readonly count: number;
  /** ISO 8601. */
  readonly first: string;
  readonly last: string;
  /** What CloudHSM answers: a CKR code. */
  readonly cloudhsm: string;
  readonly because: string;
  readonly fix: string;
  /** The program may work with CloudHSM as it is; `--fail-on-deviation` leaves it alone. */
  readonly advisory: boolean;
}

/** What `cloudhsm-local report --json` prints. */
export interface ReadinessReport {
  /** Of the engine that runs, or ran last. */
  readonly profile: Profile;
  readonly deviations: readonly ReportLine[];
}

export function readinessReport(profile: Profile, uses: readonly DeviationUse[]): ReadinessReport {
  const lines = uses.map(({ deviation, call, program, count, firstMs, lastMs }) => {
    const { answer, because, fix, advisory } = deviations[deviation];
    const [first, last] = [new Date(firstMs).toISOString(), new Date(lastMs).toISOString()];
    const line = { id: deviation, call, program, count, first, last, cloudhsm: answer, because, fix };
    return { ...line, advisory: advisory === true };
  });
  const order = Object.keys(deviations);
  return {
    profile,
    deviations: lines.sort(
      (a, b) =>
        Number(a.advisory) - Number(b.advisory) ||
        order.indexOf(a.id) - order.indexOf(b.id) ||
        b.count - a.count,
    ),
  };
}

/** Lines that stand between a program and CloudHSM. */
export function deviating(report: ReadinessReport): readonly ReportLine[] {
  return report.deviations.filter(({ advisory }) => !advisory);
}

/** How many different things that are. */
export function deviationCount(report: ReadinessReport): number {
  return new Set(deviating(report).map(({ id }) => id)).size;
}

const seconds = (time: string): string => time.replace(/\.\d+Z$/, 'Z');

function section(lines: readonly ReportLine[]): string {
  const { id, cloudhsm, because, fix, advisory } = lines[0]!;
  const rows = lines.map(({ call, program, count, first, last }) => [
    call,
    program,
    String(count),
    seconds(first),
    seconds(last),
  ]);
  return [
    bold(`${id}${advisory ? ' (advisory)' : ''}: CloudHSM answers ${cloudhsm}`),
    `  ${because}`,
    `  fix: ${fix}`,
    table([['CALL', 'PROGRAM', 'COUNT', 'FIRST', 'LAST'], ...rows]).replace(/^/gm, '  '),
  ].join('\n');
}

export function reportPage(report: ReadinessReport): string {
  const count = deviationCount(report);
  const head =
    count > 0
      ? `What programs did that CloudHSM refuses or answers otherwise: ${count} deviations`
      : report.profile === 'strict'
        ? 'No deviations: the strict profile refuses them.'
        : 'No deviations: what programs did so far works with CloudHSM.';
  const ids = [...new Set(report.deviations.map(({ id }) => id))];
  return [head, ...ids.map((id) => section(report.deviations.filter((line) => line.id === id)))].join('\n\n');
}
