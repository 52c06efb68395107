import type { AnswerOf } from '../../../hsm/commands/index.js';
import { ANCHOR_BYTES, enforcementLevels, MOST_ANCHORS, type TrustAnchor } from '../../../hsm/mutual-tls.js';
import { type Kind, oneOf, required, shown } from '../../command-row.js';
import { readNamedFile } from '../../connection/identity.js';
import { usage } from '../../failure.js';
import { approvalOption, bringApprovals } from '../approvals.js';
import { command } from '../context.js';
import { agreed, INCONSISTENT } from '../names.js';

/** `0x01` (reference management-tools, section 6.2). */
const referenceText = (reference: number): string => `0x${String(reference).padStart(2, '0')}`;

const referenceKind: Kind<number> = {
  read: (value, option) => {
    const [, digits] = /^0x0*([1-9])$/i.exec(value) ?? [];
    if (digits !== undefined && Number(digits) <= MOST_ANCHORS) return Number(digits);
    throw usage(
      `invalid value '${shown(value)}' for '${option}': ${referenceText(1)} to ${referenceText(MOST_ANCHORS)} are possible`,
    );
  },
};

/** An anchor as those HSMs have it that have it. */
const anchorEntry = (anchors: readonly TrustAnchor[], hsms: number): object => ({
  'certificate-reference': referenceText(anchors[0]!.reference),
  certificate: anchors[0]!.certificate,
  'cluster-coverage': anchors.length === hsms ? 'full' : INCONSISTENT,
});

/** The anchors of all HSMs: those of one reference and certificate are the same one. */
function entriesOf(lists: AnswerOf<'listTrustAnchors'>[]): object[] {
  const byIdentity = new Map<string, TrustAnchor[]>();
  for (const anchor of lists.flat()) {
    const identity = `${anchor.reference} ${anchor.certificate}`;
    byIdentity.set(identity, [...(byIdentity.get(identity) ?? []), anchor]);
  }
  return [...byIdentity.values()]
    .sort(([one], [other]) => one!.reference - other!.reference)
    .map((anchors) => anchorEntry(anchors, lists.length));
}

/** `Cluster`, as the message of set-enforcement says it. */
const capitalised = (level: string): string => level.charAt(0).toUpperCase() + level.slice(1);

/** `cluster mtls …` (reference management-tools, section 6.2). */
export const mutualTlsCommands = [
  command({
    path: ['cluster', 'mtls', 'register-trust-anchor'],
    help: 'Register a trust anchor for mtls',
    roles: ['CO'],
    options: {
      path: required<string>('PATH', 'Filepath of the trust anchor to register'),
      ...approvalOption,
    },
    run: async ({ cluster }, { path, approval }) => {
      // Somewhat more than an HSM takes: it says what is wrong.
      const certificate = readNamedFile(path, 2 * ANCHOR_BYTES).toString('latin1');
      await bringApprovals(cluster, approval);
      const anchors = await cluster.sendToAll('Register trust anchor', 'registerTrustAnchor', {
        certificate,
      });
      const [first] = anchors;
      const same = anchors.filter(({ reference }) => reference === first!.reference);
      return { trust_anchor: anchorEntry(same, anchors.length) };
    },
  }),
  command({
    path: ['cluster', 'mtls', 'list-trust-anchors'],
    help: 'List all trust anchors for mtls',
    roles: [],
    options: {},
    run: async ({ cluster }) => ({
      trust_anchors: entriesOf(await cluster.ofReachable('listTrustAnchors', undefined)),
    }),
  }),
  command({
    path: ['cluster', 'mtls', 'deregister-trust-anchor'],
    help: 'Deregister a trust anchor for mtls',
    roles: ['CO'],
    options: {
      'certificate-reference': required(
        'CERTIFICATE_REFERENCE',
        'Reference of the trust anchor to deregister, as list-trust-anchors shows it',
        referenceKind,
      ),
      ...approvalOption,
    },
    run: async ({ cluster }, { 'certificate-reference': reference, approval }) => {
      await bringApprovals(cluster, approval);
      await cluster.sendToAll('Deregister trust anchor', 'deregisterTrustAnchor', { reference });
      return {
        message: `Trust anchor with reference ${referenceText(reference)} deregistered successfully`,
      };
    },
  }),
  command({
    path: ['cluster', 'mtls', 'set-enforcement'],
    help: 'Set mtls enforcement level of the cluster',
    roles: ['CO'],
    options: {
      level: required('LEVEL', 'Level to be set for mtls in the cluster', oneOf(...enforcementLevels)),
      ...approvalOption,
    },
    run: async ({ cluster }, { level, approval }) => {
      await bringApprovals(cluster, approval);
      await cluster.sendToAll('Set mtls enforcement', 'setMtlsEnforcement', { level });
      return { message: `Mtls enforcement level set to ${capitalised(level)} successfully` };
    },
  }),
  command({
    path: ['cluster', 'mtls', 'get-enforcement'],
    help: 'Get the status of mtls enforcement in the cluster',
    // "You must be logged in as admin or crypto user": the command's page of the user guide.
    roles: ['CO', 'CU'],
    options: {},
    run: async ({ cluster }) => {
      const levels = await cluster.ofReachable('getMtlsEnforcement', undefined);
      return { 'mtls-enforcement-level': agreed(levels.map(({ level }) => level)) };
    },
  }),
];
