import { counterKdf, hmac, importSecretKey, type SecretKey } from '../crypto/index.js';
import { type BackupKeyId, derivationContext } from './header.js';

const LABEL = Buffer.from('cloudhsm-emulator/backup/PBK/v1\0');
const PBK_BYTES = 32;
const COUNTER_BYTES = 4;

/**
 * The KDF in counter mode of SP 800-108r1, section 4.1, with HMAC-SHA-256 and r = 32, the counter before the fixed data. It
 * takes those as one piece, as NIST's vectors have them.
 */
export function kbkdfCounter(keyIn: Buffer, fixedData: Buffer, lengthBytes: number): Buffer {
  const key = importSecretKey(keyIn);
  const input = Buffer.concat([Buffer.alloc(COUNTER_BYTES), fixedData]);
  try {
    return counterKdf(
      (data) => hmac('sha256', key, data),
      (counter) => {
        input.writeUInt32BE(counter);
        return input;
      },
      lengthBytes,
    );
  } finally {
    key.destroy();
  }
}

/** Label ‖ 00 ‖ Context ‖ L. */
function fixedData(id: BackupKeyId): Buffer {
  const lengthBits = Buffer.alloc(4);
  lengthBits.writeUInt32BE(PBK_BYTES * 8);
  return Buffer.concat([LABEL, derivationContext(id), lengthBits]);
}

/**
 * PBK, from what the manufacturer and the installation put into their HSMs. It depends on no cluster, no region and no single HSM:
 * a backup is restored elsewhere. The two keys are one key-derivation key by concatenation (SP 800-133r2, section 6.3).
 */
export function derivePbkBytes(mkbk: Buffer, akbk: Buffer, id: BackupKeyId): Buffer {
  const keyIn = Buffer.concat([mkbk, akbk]);
  const bytes = kbkdfCounter(keyIn, fixedData(id), PBK_BYTES);
  keyIn.fill(0);
  return bytes;
}

export function derivePbk(mkbk: Buffer, akbk: Buffer, id: BackupKeyId): SecretKey {
  const bytes = derivePbkBytes(mkbk, akbk, id);
  const pbk = importSecretKey(bytes);
  bytes.fill(0);
  return pbk;
}
