import * as z from 'zod';
import { limits } from '../../base/limits.js';
import type { SecondFactor } from '../../hsm/commands/second-factor.js';
import { SIGNATURE_BYTES } from '../../hsm/second-factor.js';
import { refused } from '../failure.js';
import { fromPem } from '../pem.js';
import { readGivenFile, writeGivenFile } from '../sdk3/files.js';
import type { Session } from './session.js';

/*
 * `-2fa <file>` (reference management-tools, section 4.4): the tool writes what is to be signed, somebody signs it elsewhere, and
 * the tool reads the signatures.
 */

const schema = z.looseObject({
  Version: z.literal('1.0'),
  PublicKey: z.string().max(limits.configurationBytes),
  Data: z
    .array(z.looseObject({ HsmId: z.string(), Signature: z.string().max(4 * SIGNATURE_BYTES) }))
    .max(limits.hsmsPerCluster),
});

/** The signatures of the HSMs' challenges, by HSM. */
export interface Signatures {
  /** For a login, of a user who may have no second factor. */
  signature(hsmId: string): Buffer | undefined;
  /** For a user that gets a second factor. Throws REFUSED when there is no public key or no signature. */
  secondFactor(hsmId: string): SecondFactor;
}

const QUESTION = (file: string): string => `Authentication data written to: "${file}"
Generate Base64-encoded signatures for SHA256 digests in the authentication data
file. To generate the signatures, use the RSA private key, which is the second factor of
authentication for this user. Paste the signatures and the corresponding public key
into the authentication data file and provide the file path below.
Leave this field blank to use the path initially provided.`;

/** Writes a fresh challenge of each HSM to the file, and waits for its signatures. Throws REFUSED. */
export async function askForSignatures(session: Session, file: string): Promise<Signatures> {
  const data: { HsmId: string; Digest: string; Signature: string }[] = [];
  await session.each('getChallenge', async (connection) => {
    const challenge = await connection.send('getChallenge', undefined);
    data.push({ HsmId: connection.hsmId, Digest: challenge.toString('base64'), Signature: '' });
  });
  writeGivenFile(file, `${JSON.stringify({ Version: '1.0', PublicKey: '', Data: data }, null, 2)}\n`);
  session.print(QUESTION(file));
  const typed = (await session.terminal.ask('Enter filename:'))?.trim();
  if (typed === undefined) throw refused('no file of signatures was named');
  return signaturesIn(typed === '' ? file : typed);
}

function signaturesIn(file: string): Signatures {
  let fields: unknown;
  try {
    fields = JSON.parse(readGivenFile(file, limits.configurationBytes).toString('utf8'));
  } catch (error) {
    if (error instanceof SyntaxError) throw refused(`${file} is not JSON`);
    throw error;
  }
  const read = schema.safeParse(fields);
  if (!read.success) throw refused(`${file} has not the form of an authentication data file`);
  const { PublicKey, Data } = read.data;
  const signature = (hsmId: string): Buffer | undefined => {
    const text = Data.find(({ HsmId }) => HsmId === hsmId)?.Signature ?? '';
    const bytes = Buffer.from(text, 'base64');
    return bytes.length === SIGNATURE_BYTES ? bytes : undefined;
  };
  return {
    signature,
    secondFactor: (hsmId) => {
      const signed = signature(hsmId);
      if (signed === undefined) throw refused(`${file} has no signature for ${hsmId}`);
      return { publicKey: fromPem('PUBLIC KEY', PublicKey), signature: signed };
    },
  };
}
