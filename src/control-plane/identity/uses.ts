import { type Asn1, basicConstraints, extendedKeyUsage, keyUsage, oids } from './der.js';

/** A private key and the authority's certificate for it, PEM. */
export interface IssuedIdentity {
  readonly certificate: string;
  readonly privateKey: string;
}

const leafExtensions = (...purposes: string[]): Asn1[] => [
  basicConstraints(false),
  keyUsage('digitalSignature'),
  extendedKeyUsage(...purposes),
];

/** THE row per use of a certificate in TLS: an HSM's says that it is a server; a client's cannot be mistaken for an HSM's. */
export const useExtensions = {
  authority: () => [basicConstraints(true), keyUsage('keyCertSign')],
  hsm: () => leafExtensions(oids.serverAuthentication, oids.clientAuthentication),
  client: () => leafExtensions(oids.clientAuthentication),
};
