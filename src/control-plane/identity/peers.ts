import { pem } from '../../base/pem.js';
import { generateEcKeyPair, rsaPrivateComponents, rsaPublicKeyInfo } from '../../crypto/index.js';
import { rsaSigner } from './der.js';
import { issueCertificate } from './issuing.js';
import { type IssuedIdentity, useExtensions } from './uses.js';

/*
 * How HSMs of a cluster in several processes know each other: the cluster's key, which nobody has but its HSMs, certifies for
 * each of them a key of its own. The owner's authority, which signs the cluster's certificate, makes nobody an HSM.
 */

const AUTHORITY = [{ CN: 'HSMs of the cluster' }];

/** What the cluster's key has certified, and the authority that it is. */
export interface PeerIdentity extends IssuedIdentity {
  readonly anchor: string;
}

/** For an HSM, or for a client that stands before the HSMs and is none. `clusterKey` is PKCS#8. */
export async function newPeerIdentity(
  clusterKey: Buffer,
  name: string,
  use: 'hsm' | 'client',
): Promise<PeerIdentity> {
  const signer = rsaSigner(clusterKey);
  const clusterSpki = rsaPublicKeyInfo(rsaPrivateComponents(clusterKey));
  const { pkcs8, spki } = await generateEcKeyPair('P-256');
  const privateKey = pem('PRIVATE KEY', pkcs8);
  pkcs8.fill(0);
  const [anchor, certificate] = await Promise.all([
    issueCertificate(signer, {
      issuer: AUTHORITY,
      subject: AUTHORITY,
      spki: clusterSpki,
      extensions: useExtensions.authority(),
    }),
    issueCertificate(signer, {
      issuer: AUTHORITY,
      subject: [{ CN: name }],
      spki,
      extensions: useExtensions[use](),
    }),
  ]);
  return { anchor, certificate, privateKey };
}
