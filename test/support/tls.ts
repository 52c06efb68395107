import {
  type CertificateAuthority,
  newIdentity,
  newStandInAuthority,
} from '../../src/cli/stand-in-authority.js';
import type { TlsIdentity } from '../../src/cluster/tls.js';
import {
  basicConstraints,
  ecSigner,
  extendedKeyUsage,
  keyUsage,
  oids,
} from '../../src/control-plane/identity/der.js';
import { issueCertificate } from '../../src/control-plane/identity/issuing.js';
import { generateEcKeyPair } from '../../src/crypto/index.js';

/** An authority of a test's own, and what it issues. */
export class TestAuthority {
  private constructor(readonly authority: CertificateAuthority) {}

  static async make(subject = 'customer CA'): Promise<TestAuthority> {
    return new TestAuthority(await newStandInAuthority(subject));
  }

  /** `trusting`: whose certificates it accepts; its own authority's without. */
  async identity(
    usage: 'hsm' | 'client',
    name: string = usage,
    trusting: TestAuthority = this,
  ): Promise<TlsIdentity> {
    const identity = await newIdentity(this.authority, name, usage);
    return { ...identity, trustAnchor: trusting.authority.trustAnchor };
  }
}

/** A root, an authority below it, and what the file of both is. */
export async function authorityBelow(): Promise<{
  readonly root: CertificateAuthority;
  readonly below: CertificateAuthority;
  readonly chain: string;
}> {
  const authority = async (subject: string, parent?: { name: string; pkcs8: Buffer }) => {
    const { pkcs8, spki } = await generateEcKeyPair('P-256');
    const trustAnchor = await issueCertificate(ecSigner(parent?.pkcs8 ?? pkcs8), {
      issuer: [{ CN: parent?.name ?? subject }],
      subject: [{ CN: subject }],
      spki,
      extensions: [basicConstraints(true), keyUsage('keyCertSign')],
    });
    const issue = (commonName: string, _usage: unknown, key: Buffer): Promise<string> =>
      issueCertificate(ecSigner(pkcs8), {
        issuer: [{ CN: subject }],
        subject: [{ CN: commonName }],
        spki: key,
        extensions: [
          basicConstraints(false),
          keyUsage('digitalSignature'),
          extendedKeyUsage(oids.clientAuthentication),
        ],
      });
    return { name: subject, pkcs8, trustAnchor, issue };
  };
  const root = await authority('mTLS root');
  const below = await authority('mTLS authority', root);
  return { root, below, chain: below.trustAnchor + root.trustAnchor };
}
