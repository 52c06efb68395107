import type { HsmConnection } from '../../src/hsm/hsm.js';
import type { KeyAccess } from '../../src/hsm/key-access.js';
import type { KeyService } from '../../src/hsm/quorum/services.js';
import { CKA } from '../../src/pkcs11/attributes.js';
import { CKM } from '../../src/pkcs11/mechanisms.js';
import { attribute, type Template } from '../../src/pkcs11/template.js';
import type { OfficerKey } from './officers.js';

/** Two of two for everything: what the CLI's users set. */
export const twoOfTwo = { manage: 2, use: 2 };

export const secretTemplate = (more: Template = []): Template => [
  attribute(CKA.CKA_TOKEN, true),
  attribute(CKA.CKA_VALUE_LEN, 32),
  ...[
    CKA.CKA_SIGN,
    CKA.CKA_VERIFY,
    CKA.CKA_ENCRYPT,
    CKA.CKA_DECRYPT,
    CKA.CKA_WRAP,
    CKA.CKA_UNWRAP,
    CKA.CKA_DERIVE,
  ].map((type) => attribute(type, true)),
  ...more,
];

/** A new AES token key on one HSM: its handle. */
export async function newQuorumKey(
  connection: HsmConnection,
  access: KeyAccess | undefined,
  more: Template = [],
): Promise<number> {
  const template = secretTemplate(more);
  const made = await connection.send('generateKey', { mechanism: CKM.CKM_AES_KEY_GEN, template, access });
  await connection.send('insertMaskedObject', { masked: made.masked! });
  return made.handle;
}

/** Registers a key to approve with. */
export async function registerKey(connection: HsmConnection, key: OfficerKey): Promise<void> {
  const token = Buffer.from('a file of any bytes');
  const { publicKey } = key;
  await connection.send('registerPublicKey', { token, publicKey, signature: key.signFile(token) });
}

/** Gets a token and brings approvals of it. */
export async function approvedToken(
  connection: HsmConnection,
  service: KeyService,
  handle: number,
  approvers: Readonly<Record<string, OfficerKey>>,
): Promise<Buffer> {
  const { record } = await connection.send('getToken', { service, handle });
  // What is answered is not ours to keep.
  const approvalData = Buffer.from(record);
  const approvals = Object.entries(approvers).map(([name, key]) => ({
    name,
    signature: key.signFile(approvalData),
  }));
  await connection.send('approveToken', { approvalData, approvals });
  return approvalData;
}
