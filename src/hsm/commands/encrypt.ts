import type { Eventually } from '../../base/eventually.js';
import { longestInput, tooMuchData } from '../../mechanisms/data-limits.js';
import type { Direction } from '../../mechanisms/mechanism.js';
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
  const cipher = session.hsm.mechanisms.part(type, direction);
  const loaded = keyFor(session, handle, direction, type, cipher.keyTypes);
  cipher.check(parameter, loaded.key, direction);
  const maxBytes = longestInput(cipher, direction, parameter, loaded.key);
  if (input.length > maxBytes) throw tooMuchData(direction, input.length, maxBytes);
  if (direction === 'encrypt' && cipher.hsmIv !== undefined) session.requireOwnIv(cipher.ivOf!(parameter));
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
