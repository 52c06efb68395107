/** The whole of node-forge takes a tenth of a second to load; this is all we use of it. */
declare module 'node-forge/lib/asn1.js' {
  import type forge from 'node-forge';

  const asn1: typeof forge.asn1;
  export default asn1;
}
