import { limits } from '../../base/limits.js';
import { digest, hashLengthBytes } from '../../crypto/index.js';
import { type HashRow, hashRows } from '../../mechanisms/hashes.js';
import { withPrefix } from '../../mechanisms/mechanism.js';
import { mechanismRows } from '../../mechanisms/rows.js';
import { CKK } from '../../pkcs11/constants.js';
import type { Mechanism } from '../../pkcs11/layouts.js';
import { readGivenFile, writeGivenFile } from '../sdk3/files.js';
import { hsmErrors } from '../sdk3/hsm-errors.js';
import type { FlagRow, Given, KeyCommandRow } from './command.js';
import type { KeySession } from './session.js';

const GROUP = 'Management Crypto Commands';

type Scheme = 'rsaPkcs' | 'rsaPss' | 'ecdsa';

/** THE row per number of `-m` (reference management-tools, section 5.3). */
const signatures: Readonly<Record<number, readonly [Scheme, HashRow['hash']]>> = {
  0: ['rsaPkcs', 'sha1'],
  1: ['rsaPkcs', 'sha256'],
  2: ['rsaPkcs', 'sha384'],
  3: ['rsaPkcs', 'sha512'],
  4: ['rsaPkcs', 'sha224'],
  5: ['rsaPss', 'sha1'],
  6: ['rsaPss', 'sha256'],
  7: ['rsaPss', 'sha384'],
  8: ['rsaPss', 'sha512'],
  9: ['rsaPss', 'sha224'],
  15: ['ecdsa', 'sha1'],
  16: ['ecdsa', 'sha224'],
  17: ['ecdsa', 'sha256'],
  18: ['ecdsa', 'sha384'],
  19: ['ecdsa', 'sha512'],
};

const schemeNames: { readonly [S in Scheme]: string } = {
  rsaPkcs: 'RSA PKCS',
  rsaPss: 'RSA PSS',
  ecdsa: 'ECDSA',
};

const mechanismFlag: FlagRow = {
  kind: 'number',
  required: true,
  choices: Object.keys(signatures).map(Number),
  help: `mechanism: ${Object.entries(signatures)
    .map(([number, [scheme, hash]]) => `${number} ${schemeNames[scheme]} ${hash.toUpperCase()}`)
    .join(', ')}`,
};

/** The mechanism that the HSM is asked for, and what it is given: the host hashes. */
function prepared(given: Given, data: Buffer): { mechanism: Mechanism; input: Buffer; keyType: number } {
  const [scheme, hash] = signatures[given.number('-m')]!;
  const row = hashRows.find((one) => one.hash === hash)!;
  const hashed = mechanismRows.find(({ type }) => type === row[scheme])!.hashedSignature!;
  const parameter =
    scheme === 'rsaPss'
      ? ({
          layout: 'CK_RSA_PKCS_PSS_PARAMS',
          hashAlg: row.digest,
          mgf: row.mgf,
          sLen: hashLengthBytes[hash],
        } as const)
      : undefined;
  return {
    mechanism: { type: hashed.base, parameter },
    input: withPrefix(hashed, digest(hash, data)),
    keyType: scheme === 'ecdsa' ? CKK.CKK_EC : CKK.CKK_RSA,
  };
}

const message = (given: Given): Buffer => readGivenFile(given.text('-f'), limits.collectedBytes);

const sign: KeyCommandRow = {
  name: 'sign',
  group: GROUP,
  purpose: 'signs a file with a private key',
  login: true,
  flags: {
    '-f': { kind: 'file', required: true, help: 'file to sign' },
    '-k': { kind: 'number', required: true, help: 'handle of the private key' },
    '-m': mechanismFlag,
    '-out': { kind: 'file', required: true, help: 'file for the signature' },
  },
  run: async (session, given) => {
    const { mechanism, input } = prepared(given, message(given));
    const handle = given.number('-k');
    const signature = await session.call('Cfm3Sign', (client) =>
      client.send('sign', { handle, mechanism, input }),
    );
    if (signature === undefined) return;
    writeGivenFile(given.text('-out'), signature);
    session.printReturn('Cfm3Sign');
    session.print(`signature is written to file ${given.text('-out')}`, '');
    session.printNodes();
  },
};

async function isSigned(session: KeySession, given: Given, signature: Buffer): Promise<boolean | undefined> {
  const { mechanism, input, keyType } = prepared(given, message(given));
  const handle = given.number('-k');
  return session.call('Cfm3Verify', async (client) => {
    const key = await client.describeKey({
      handle,
      use: 'verify',
      mechanism: mechanism.type,
      keyTypes: [keyType],
    });
    // A signature of another length reaches no HSM.
    const row = mechanismRows.find(({ type }) => type === mechanism.type)!.signature!;
    if (row.signatureLengthBytes(key) !== signature.length) return false;
    return client.send('verify', { handle, mechanism, input, signature });
  });
}

const verify: KeyCommandRow = {
  name: 'verify',
  group: GROUP,
  purpose: 'tells whether a file was signed with a key',
  login: true,
  flags: {
    '-f': { kind: 'file', required: true, help: 'file that was signed' },
    '-s': { kind: 'file', required: true, help: 'file with the signature' },
    '-k': { kind: 'number', required: true, help: 'handle of the public key' },
    '-m': mechanismFlag,
  },
  run: async (session, given) => {
    const valid = await isSigned(session, given, readGivenFile(given.text('-s'), limits.configurationBytes));
    if (valid === undefined) return;
    if (valid) {
      session.print('', 'Signature verification successful');
      session.printReturn('Cfm3Verify');
      return;
    }
    session.failed = true;
    const { number, text } = hsmErrors.BAD_PKCS_DATA;
    session.print('', `        Cfm3Verify returned: 0x${number.toString(16)}`, `        ${text}`, '');
  },
};

export const signCommands: readonly KeyCommandRow[] = [sign, verify];
