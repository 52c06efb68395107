import type { Eventually } from '../../base/eventually.js';
import type { Direction } from '../../mechanisms/mechanism.js';
import { cipherFor } from '../../mechanisms/registry.js';
import type { Mechanism } from '../../pkcs11/layouts.js';
import type { HsmSession } from '../hsm-session.js';
import type { Command } from './command.js';
import { keyFor, withCkr } from './key-use.js';

interface CipherRequest {
  readonly handle: number;
  readonly mechanism: Mechanism;
  readonly input: Buffer;
}

function run(
  session: HsmSession,
  direction: Direction,
  { handle, mechanism, input }: CipherRequest,
): Eventually<Buffer> {
  const { type, parameter } = mechanism;
  const cipher = cipherFor(type, session.hsm.settings.mode);
  const loaded = keyFor(session, handle, direction, type, cipher.keyTypes);
  cipher.check(parameter, loaded.key, direction);
  const refused = direction === 'encrypt' ? 'CKR_DATA_INVALID' : 'CKR_ENCRYPTED_DATA_INVALID';
  return withCkr(loaded, refused, () => cipher[direction](loaded.key, parameter, input));
}

/** Encrypts in one piece. */
export const encrypt: Command<CipherRequest, Buffer> = {
  login: 'CU',
  run: (session, request) => run(session, 'encrypt', request),
};

/** Decrypts in one piece. */
export const decrypt: Command<CipherRequest, Buffer> = {
  login: 'CU',
  run: (session, request) => run(session, 'decrypt', request),
};
