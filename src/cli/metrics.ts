import type { Applications } from '../bridge/applications.js';
import type { ClusterSettings } from '../cluster/cluster.js';
import { callCounts } from '../cryptoki/dispatch.js';
import type { Hsm } from '../hsm/hsm.js';
import { hsmMetrics, isReported } from '../hsm/metrics.js';

interface Sample {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** Label values in the text format of Prometheus (exposition format 0.0.4). */
const escaped = (value: string): string =>
  value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');

function family(name: string, type: string, help: string, samples: readonly Sample[]): string {
  const lines = samples.map(({ labels, value }) => {
    const pairs = Object.entries(labels).map(([label, text]) => `${label}="${escaped(text)}"`);
    return `${name}${pairs.length > 0 ? `{${pairs.join(',')}}` : ''} ${value}`;
  });
  return samples.length === 0
    ? ''
    : [`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`, ...lines, ''].join('\n');
}

/** Those HSMs of a cluster that run in this process. */
export interface ClusterHsms {
  readonly settings: ClusterSettings;
  readonly hsms: readonly Hsm[];
}

/** What serves programs in this process. */
export interface Serving {
  readonly applications: Applications;
  /** How many of their operations other threads than the event loop's have run. */
  operationsOfThreads(): number;
  /** How many HSMs elsewhere have run without JavaScript here. */
  operationsAsked(): number;
}

/** What this process counts, as Prometheus reads it: under CloudWatch's names what CloudWatch has of an HSM, and our own beside. */
export function metricsPage(clusters: readonly ClusterHsms[], serving?: Serving): string {
  const all = clusters.flatMap(({ settings, hsms }) =>
    hsms.map((hsm) => ({ hsm, labels: { ClusterId: settings.id, HsmId: hsm.settings.id } })),
  );
  const ofHsms = hsmMetrics.map((row) => {
    const reporting = all.filter(({ hsm }) => isReported(row, hsm));
    const samples = reporting.map(({ hsm, labels }) => ({ labels, value: row.value(hsm) }));
    return family(row.name, row.type, row.help, samples);
  });
  const commands = all.flatMap(({ hsm, labels }) =>
    hsm.commandCounts().map(([command, value]) => ({ labels: { ...labels, command }, value })),
  );
  const ofCommands = family(
    'cloudhsm_local_hsm_commands_total',
    'counter',
    'Commands that an HSM was given',
    commands,
  );
  return [...ofHsms, ofCommands, ...(serving === undefined ? [] : callFamilies(serving))].join('');
}

function callFamilies({ applications, operationsOfThreads, operationsAsked }: Serving): string[] {
  const called = callCounts();
  const clients = applications.status();
  const sessions = clients.reduce((sum, client) => sum + client.sessions, 0);
  return [
    family(
      'cloudhsm_local_calls_total',
      'counter',
      'PKCS#11 calls of all programs',
      called.map(({ call, count }) => ({ labels: { call }, value: count })),
    ),
    family(
      'cloudhsm_local_call_failures_total',
      'counter',
      'PKCS#11 calls that did not answer CKR_OK',
      called
        .filter(({ failures }) => failures > 0)
        .map(({ call, failures }) => ({ labels: { call }, value: failures })),
    ),
    family(
      'cloudhsm_local_thread_operations_total',
      'counter',
      'Operations that threads beside the event loop have run',
      [{ labels: {}, value: operationsOfThreads() }],
    ),
    family(
      'cloudhsm_local_asked_operations_total',
      'counter',
      'Operations that HSMs in other processes have run without JavaScript in this one',
      [{ labels: {}, value: operationsAsked() }],
    ),
    family('cloudhsm_local_clients', 'gauge', 'Programs that are connected', [
      { labels: {}, value: clients.length },
    ]),
    family('cloudhsm_local_sessions', 'gauge', 'PKCS#11 sessions of all programs', [
      { labels: {}, value: sessions },
    ]),
  ];
}
