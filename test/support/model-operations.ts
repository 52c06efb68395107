import { createCipheriv, createDecipheriv, createHash, createHmac } from 'node:crypto';
import type { CkrName } from '../../src/pkcs11/ckr.js';
import type { CallName } from '../../src/wire/calls.js';

/* The operations of session-model.ts: what their calls are called, and what they make of data. */

export const operationKinds = ['digest', 'sign', 'verify', 'encrypt', 'decrypt'] as const;
export type OperationKind = (typeof operationKinds)[number];

export interface Names {
  readonly init: CallName;
  readonly whole: CallName;
  readonly update: CallName;
  readonly final: CallName;
  /** Of the parameters. */
  readonly data: string;
  readonly output: string;
  readonly part: string;
  readonly partOutput: string;
  readonly last: string;
}

export const names: { readonly [Kind in OperationKind]: Names } = {
  digest: calls('Digest', 'pData', 'pDigest', 'pPart', '', 'pDigest'),
  sign: calls('Sign', 'pData', 'pSignature', 'pPart', '', 'pSignature'),
  verify: calls('Verify', 'pData', 'pSignature', 'pPart', '', 'pSignature'),
  encrypt: calls('Encrypt', 'pData', 'pEncryptedData', 'pPart', 'pEncryptedPart', 'pLastEncryptedPart'),
  decrypt: calls('Decrypt', 'pEncryptedData', 'pData', 'pEncryptedPart', 'pPart', 'pLastPart'),
};

function calls(
  verb: string,
  data: string,
  output: string,
  part: string,
  partOutput: string,
  last: string,
): Names {
  const [init, whole, update, final] = ['Init', '', 'Update', 'Final'].map(
    (ending) => `C_${verb}${ending}` as CallName,
  ) as [CallName, CallName, CallName, CallName];
  return { init, whole, update, final, data, output, part, partOutput, last };
}

export const isCipher = (kind: OperationKind): boolean => kind === 'encrypt' || kind === 'decrypt';
export const keyTypes = { sign: 'hmac', verify: 'hmac', encrypt: 'aes', decrypt: 'aes' } as const;

/** What an operation makes of data. */
export function result(kind: OperationKind, key: Buffer | undefined, data: Buffer): Buffer {
  if (kind === 'digest') return createHash('sha256').update(data).digest();
  if (!isCipher(kind)) return createHmac('sha256', key!).update(data).digest();
  const cipher =
    kind === 'encrypt'
      ? createCipheriv('aes-256-ecb', key!, null)
      : createDecipheriv('aes-256-ecb', key!, null);
  return Buffer.concat([cipher.setAutoPadding(false).update(data), cipher.final()]);
}

export const dataRefusal = (kind: OperationKind): CkrName =>
  kind === 'decrypt' ? 'CKR_ENCRYPTED_DATA_LEN_RANGE' : 'CKR_DATA_LEN_RANGE';
