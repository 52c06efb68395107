import {
  type CertificateAuthority,
  newIdentity,
  newStandInAuthority,
} from '../../src/cli/stand-in-authority.js';
import type { TlsIdentity } from '../../src/cluster/tls.js';

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
