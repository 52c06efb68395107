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

/** What this process counts, as Prometheus reads it: under CloudWatch's names what CloudWatch has of an HSM, and our own beside. */
export function metricsPage(clusters: readonly ClusterHsms[], applications?: Applications): string {
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
  return [...ofHsms, ofCommands, ...(applications === undefined ? [] : callFamilies(applications))].join('');
}

function callFamilies(applications: Applications): string[] {
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
    family('cloudhsm_local_clients', 'gauge', 'Programs that are connected', [
      { labels: {}, value: clients.length },
    ]),
    family('cloudhsm_local_sessions', 'gauge', 'PKCS#11 sessions of all programs', [
      { labels: {}, value: sessions },
    ]),
  ];
}

/** One page from those of several processes: a family's samples stand together. */
export function mergedMetrics(pages: readonly string[]): string {
  const families = new Map<string, string[]>();
  // A process without HSMs says nothing.
  for (const block of pages.filter(Boolean).flatMap((page) => page.split(/^(?=# HELP )/m))) {
    const [help, type, ...samples] = block.trimEnd().split('\n');
    const head = `${help}\n${type}`;
    families.set(head, [...(families.get(head) ?? []), ...samples]);
  }
  return [...families].map(([head, samples]) => `${[head, ...samples].join('\n')}\n`).join('');
}
