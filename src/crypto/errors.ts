/** Why a cryptographic operation failed. */
export type CryptoErrorCode =
  | 'INVALID_KEY'
  | 'INVALID_POINT'
  | 'AUTHENTICATION_FAILED'
  | 'DECRYPTION_FAILED'
  | 'INPUT_LENGTH'
  | 'UNSUPPORTED'
  | 'OPERATION_FAILED';

/**
 * The one error of this room. Messages are constant texts and hold nothing of keys, inputs or OpenSSL's
 * queue.
 */
export class CryptoError extends Error {
  override readonly name = 'CryptoError';

  constructor(
    readonly code: CryptoErrorCode,
    message: string,
  ) {
    super(message);
  }
}
