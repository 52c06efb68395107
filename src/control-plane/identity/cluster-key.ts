import { generateRsaKeyPair, type KeyPairDer } from '../../crypto/index.js';

/* The key pair of a new cluster: RSA-2048, as in all published CSRs (reference section 7.2). */

const MODULUS_BITS = 2048;
const PUBLIC_EXPONENT = Buffer.from([1, 0, 1]);

const generate = (): Promise<KeyPairDer> => generateRsaKeyPair(MODULUS_BITS, PUBLIC_EXPONENT);

let prepared: Promise<KeyPairDer> | undefined;

/** Begins to look for a pair, on a native thread, before anybody asks for it: that takes from a tenth of a second to one. */
export function prepareClusterKey(): void {
  prepared ??= generate();
}

export function newClusterKey(): Promise<KeyPairDer> {
  const pair = prepared ?? generate();
  prepared = undefined;
  return pair;
}
