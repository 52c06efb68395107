import { type ClusterKind, type HsmType, hsmTypes } from '../../base/cluster-kind.js';
import { pem } from '../../base/pem.js';
import { generateEcKeyPair } from '../../crypto/index.js';
import type { DeviceCertificates } from '../../hsm/device-certificates.js';
import type { HsmIdentity } from '../hsm-host.js';
import { newClusterKey } from './cluster-key.js';
import {
  type Asn1,
  basicConstraints,
  ecSigner,
  keyUsage,
  pemBytes,
  type RelativeName,
  rsaSigner,
} from './der.js';
import {
  authorityKeyIdentifier,
  certificationRequest,
  issueCertificate,
  subjectKeyIdentifier,
} from './issuing.js';

/*
 * Who an HSM is, in the absence of hardware: two roots, and per HSM a hardware key with a certificate of either. Both have
 * the same subject and key, so that one HsmCertificate verifies through both (reference sections 7.1 and 7.5).
 *
 * Our choice, where nothing is documented: roots and hardware keys are P-256; all of them name this program as their
 * organisation, so that nobody takes them for AWS's.
 */

const ORGANIZATION = 'cloudhsm-local (emulated)';

/** A self-signed root and its private key, PEM. */
export interface Root {
  readonly certificate: string;
  readonly privateKey: string;
}

/** What users pin: AWS's root and each manufacturer's. */
export type Roots = Readonly<Record<'aws' | HsmType, Root>>;
export const rootNames = ['aws', ...hsmTypes] as const;
export type RootName = (typeof rootNames)[number];

/** Names of the published files, as AWS has them. */
export const rootFiles: Readonly<Record<RootName, string>> = {
  aws: 'AWS_CloudHSM_Root-G1.crt',
  'hsm1.medium': 'liquid_security_certificate.crt',
  'hsm2m.medium': 'liquidsecurity2_certificate.crt',
};

const rootSubject = (root: RootName): readonly RelativeName[] => [
  { O: ORGANIZATION },
  { CN: root === 'aws' ? 'Emulated AWS CloudHSM Root G1' : `Emulated manufacturer root of ${root}` },
];

const authorityExtensions = (spki: Buffer): Asn1[] => [
  basicConstraints(true),
  keyUsage('keyCertSign', 'cRLSign'),
  subjectKeyIdentifier(spki),
];

async function newRoot(root: RootName): Promise<Root> {
  const { pkcs8, spki } = await generateEcKeyPair('P-256');
  const subject = rootSubject(root);
  const extensions = authorityExtensions(spki);
  const certificate = await issueCertificate(ecSigner(pkcs8), { issuer: subject, subject, spki, extensions });
  const privateKey = pem('PRIVATE KEY', pkcs8);
  pkcs8.fill(0);
  return { certificate, privateKey };
}

/** New roots; whoever calls keeps them, for users pin them. */
export async function newRoots(): Promise<Roots> {
  const roots = await Promise.all(rootNames.map(async (root) => [root, await newRoot(root)] as const));
  return Object.fromEntries(roots) as Roots;
}

/** What differs between the makes of HSMs in a CSR's subject (reference section 7.2). */
const makes: Readonly<Record<HsmType, RelativeName>> = {
  'hsm1.medium': { C: 'US', ST: 'CA', O: 'Cavium', OU: 'N3FIPS', L: 'SanJose' },
  'hsm2m.medium': { C: 'US', ST: 'CA', OU: 'LS2', L: 'SanJose', O: 'Marvell' },
};

/** What the name of a NON_FIPS cluster ends with has not been seen: a guess. */
function subjectOf({ hsmType, mode }: ClusterKind, { serial, partition }: Board): readonly RelativeName[] {
  const ending = mode === 'FIPS' ? 'FIPS mode' : 'non-FIPS mode';
  return [makes[hsmType], { CN: `HSM:${serial}:PARTN:${partition}, for ${ending}` }];
}

/** The board of an HSM. */
export const boardOf = (hsmId: string, ordinal: number): Board => ({
  serial: `SIM${hsmId.slice('hsm-'.length).toUpperCase()}`,
  partition: ordinal,
});

/** The hardware that an HSM is a partition of. */
export interface Board {
  /** `SIM…`, as real ones have `RCN…`. */
  readonly serial: string;
  readonly partition: number;
}

export interface NewHsmIdentity {
  readonly identity: HsmIdentity;
  /** The cluster's private key, PKCS#8: made in the first HSM, kept by HSMs and in their backups. Cleanse it when done. */
  readonly clusterKey: Buffer;
}

/** Makes a hardware key, and its certificate for a key that the HSM has. */
async function newHardware(
  roots: Roots,
  kind: ClusterKind,
  board: Board,
  spki: Buffer,
): Promise<Omit<HsmIdentity, 'clusterCsr'>> {
  const hardware = await generateEcKeyPair('P-256');
  const hardwareName: readonly RelativeName[] = [
    { O: ORGANIZATION },
    { CN: `Emulated ${kind.hsmType} ${board.serial}` },
  ];
  const certifiedBy = (root: RootName): Promise<string> => {
    const signer = ecSigner(pemBytes('PRIVATE KEY', roots[root].privateKey)!);
    const extensions = authorityExtensions(hardware.spki);
    const issuer = rootSubject(root);
    return issueCertificate(signer, { issuer, subject: hardwareName, spki: hardware.spki, extensions });
  };
  const made = {
    hsmCertificate: await issueCertificate(ecSigner(hardware.pkcs8), {
      issuer: hardwareName,
      subject: subjectOf(kind, board),
      spki,
      extensions: [authorityKeyIdentifier(hardware.spki)],
    }),
    awsHardwareCertificate: await certifiedBy('aws'),
    manufacturerHardwareCertificate: await certifiedBy(kind.hsmType),
  };
  hardware.pkcs8.fill(0);
  return made;
}

/** Makes the cluster's key pair, and what shows whose hardware has it. */
export async function newHsmIdentity(roots: Roots, kind: ClusterKind, board: Board): Promise<NewHsmIdentity> {
  const { pkcs8, spki } = await newClusterKey();
  const identity: HsmIdentity = {
    clusterCsr: await certificationRequest(rsaSigner(pkcs8), subjectOf(kind, board), spki),
    ...(await newHardware(roots, kind, board, spki)),
  };
  return { identity, clusterKey: pkcs8 };
}

/** What an HSM that shows such an identity tells of its hardware for good. */
export function deviceCertificatesOf(
  roots: Roots,
  { hsmType }: ClusterKind,
  { hsmCertificate, manufacturerHardwareCertificate }: Omit<HsmIdentity, 'clusterCsr'>,
): DeviceCertificates {
  return {
    manufacturerRoot: roots[hsmType].certificate,
    manufacturerHardware: manufacturerHardwareCertificate,
    hsm: hsmCertificate,
  };
}

/** The same of new hardware, for a key that the HSM has been given. */
export async function newDeviceCertificates(
  roots: Roots,
  kind: ClusterKind,
  board: Board,
  spki: Buffer,
): Promise<DeviceCertificates> {
  return deviceCertificatesOf(roots, kind, await newHardware(roots, kind, board, spki));
}
