import { aesMechanisms } from './aes.js';
import { counterKdfMechanism } from './counter-kdf.js';
import { des3Mechanisms } from './des3.js';
import { digestMechanisms } from './digests.js';
import { ecdhMechanism } from './ecdh.js';
import { ecdsaMechanisms } from './ecdsa.js';
import { eddsaMechanisms } from './eddsa.js';
import { keyWrapMechanisms } from './key-wrap.js';
import { macMechanisms } from './macs.js';
import type { MechanismRow } from './mechanism.js';
import { mlDsaMechanisms } from './ml-dsa.js';
import { rsaMechanisms } from './rsa.js';
import { secretKeyGenerations } from './secret-keys.js';

/** Every mechanism there is, in the order C_GetMechanismList gives them. */
export const mechanismRows: readonly MechanismRow[] = [
  ...rsaMechanisms,
  ...ecdsaMechanisms,
  ecdhMechanism,
  ...eddsaMechanisms,
  ...mlDsaMechanisms,
  ...secretKeyGenerations,
  ...aesMechanisms,
  ...keyWrapMechanisms,
  ...des3Mechanisms,
  ...macMechanisms,
  counterKdfMechanism,
  ...digestMechanisms,
];
