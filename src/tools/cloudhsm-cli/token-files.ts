import * as z from 'zod';
import { limits } from '../../base/limits.js';
import { TOKEN_BYTES } from '../../hsm/quorum/token.js';
import { readNamedFile } from '../connection/identity.js';
import { refused } from '../failure.js';
import { writeGivenFile } from '../sdk3/files.js';

/*
 * Files that people sign: challenges of a second factor, registrations of a public key, approvals of a quorum (reference
 * management-tools, sections 6.6 and 6.7). What they hold travels in base64.
 */

const VERSION = '2.0';
const MAX_BYTES = 256 * 1024;

const base64 = z
  .string()
  .regex(/^[A-Za-z0-9+/\s]*={0,2}\s*$/)
  .max(MAX_BYTES);
const challenges = z.looseObject({
  tokens: z
    .array(z.looseObject({ unsigned: base64, signed: base64 }))
    .min(1)
    .max(limits.hsmsPerCluster),
});
const registration = z.looseObject({
  tokens: z
    .array(z.looseObject({ approval_data: base64, unsigned: base64, signed: base64 }))
    .min(1)
    .max(limits.hsmsPerCluster),
});
const approval = z.looseObject({
  approval_data: base64.max(Math.ceil((TOKEN_BYTES * limits.hsmsPerCluster * 4) / 3) + 4),
  signatures: z
    .array(z.looseObject({ username: z.string().max(limits.nameBytes), signature: base64 }))
    .max(limits.approvals),
});

const bytesOf = (text: string): Buffer => Buffer.from(text, 'base64');
const textOf = (bytes: Buffer): string => bytes.toString('base64');

const writeTokenFile = (path: string, fields: object): void =>
  writeGivenFile(path, `${JSON.stringify({ version: VERSION, ...fields }, null, 2)}\n`);

function readTokenFile<T>(path: string, schema: z.ZodType<T>): T {
  const text = readNamedFile(path, MAX_BYTES).toString('utf8');
  let fields: unknown;
  try {
    fields = JSON.parse(text);
  } catch {
    throw refused(`${path} is not JSON`);
  }
  const result = schema.safeParse(fields);
  // "Wrong file shape" (section 6.8).
  if (!result.success) throw refused('No token signatures provided');
  return result.data;
}

/** One value per HSM, to be signed as it is. */
export function writeChallenges(path: string, values: readonly Buffer[]): void {
  writeTokenFile(path, { tokens: values.map((value) => ({ unsigned: textOf(value), signed: '' })) });
}

/** Signatures by the values that they are of. */
export function readSignedChallenges(path: string): (challenge: Buffer) => Buffer {
  const { tokens } = readTokenFile(path, challenges);
  const signatures = new Map(
    tokens.map(({ unsigned, signed }) => [textOf(bytesOf(unsigned)), bytesOf(signed)]),
  );
  return (challenge) => {
    const signature = signatures.get(textOf(challenge));
    if (signature === undefined || signature.length === 0) throw refused('No token signatures provided');
    return signature;
  };
}

/** @param data what is registered with: its SHA-256 is signed */
export function writeRegistration(path: string, data: Buffer, sha256: Buffer): void {
  writeTokenFile(path, { tokens: [{ approval_data: textOf(data), unsigned: textOf(sha256), signed: '' }] });
}

export function readRegistration(path: string): { readonly data: Buffer; readonly signature: Buffer } {
  const { tokens } = readTokenFile(path, registration);
  const [{ approval_data, signed }] = tokens as [(typeof tokens)[number]];
  if (signed === '') throw refused('No token signatures provided');
  return { data: bytesOf(approval_data), signature: bytesOf(signed) };
}

/** @param more what a token for keys says besides: its service and its key */
export function writeApproval(path: string, data: Buffer, sha256: Buffer, more: object = {}): void {
  writeTokenFile(path, { ...more, approval_data: textOf(data), token: textOf(sha256), signatures: [] });
}

export interface ApprovalFile {
  readonly approvalData: Buffer;
  readonly approvals: readonly { readonly name: string; readonly signature: Buffer }[];
}

export function readApproval(path: string): ApprovalFile {
  const { approval_data, signatures } = readTokenFile(path, approval);
  if (signatures.length === 0) throw refused('No token signatures provided');
  return {
    approvalData: bytesOf(approval_data),
    approvals: signatures.map(({ username, signature }) => ({
      name: username,
      signature: bytesOf(signature),
    })),
  };
}
