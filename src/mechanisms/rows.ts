import { aesMechanisms } from './aes.js';
import { des3Mechanisms } from './des3.js';
import { digestMechanisms } from './digests.js';
import { ecdsaMechanisms } from './ecdsa.js';
import { macMechanisms } from './macs.js';
import type { MechanismRow } from './mechanism.js';
import { rsaMechanisms } from './rsa.js';
import { secretKeyGenerations } from './secret-keys.js';

/** Every mechanism there is, in the order C_GetMechanismList gives them. */
export const mechanismRows: readonly MechanismRow[] = [
  ...rsaMechanisms,
  ...ecdsaMechanisms,
  ...secretKeyGenerations,
  ...aesMechanisms,
  ...des3Mechanisms,
  ...macMechanisms,
  ...digestMechanisms,
];
