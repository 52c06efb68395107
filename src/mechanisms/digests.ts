import { hashRows } from './hashes.js';
import type { MechanismRow } from './mechanism.js';

export const digestMechanisms: readonly MechanismRow[] = hashRows.map(({ digest, hash }) => ({
  type: digest,
  minKeySize: 0,
  maxKeySize: 0,
  digest: hash,
}));
