import { curveByName } from '../../crypto/index.js';
import { CKA } from '../../pkcs11/attributes.js';
import { CKK } from '../../pkcs11/constants.js';
import { CKM } from '../../pkcs11/mechanisms.js';
import { attribute, type Template } from '../../pkcs11/template.js';
import { refused } from '../failure.js';
import type { Given, KeyCommandRow } from './command.js';
import {
  common,
  namedTemplate,
  newKeyAccess,
  pairUses,
  printAttestation,
  requireDoable,
  secretKeyUses,
} from './common.js';
import type { KeySession } from './session.js';

const SYMMETRIC = 'Key Generation (Symmetric) Commands';
const ASYMMETRIC = 'Key Generation (Asymmetric) Commands';

/** RC4, which no HSM of the cluster has. */
const RC4 = 18;

const secretMechanisms: Readonly<Record<number, number>> = {
  [CKK.CKK_GENERIC_SECRET]: CKM.CKM_GENERIC_SECRET_KEY_GEN,
  [CKK.CKK_DES3]: CKM.CKM_DES3_KEY_GEN,
  [CKK.CKK_AES]: CKM.CKM_AES_KEY_GEN,
};

const secretKeyBytes: Readonly<Record<number, (lengthBytes: number) => boolean>> = {
  [CKK.CKK_GENERIC_SECRET]: (lengthBytes) => lengthBytes >= 1 && lengthBytes < 3584,
  [CKK.CKK_DES3]: (lengthBytes) => lengthBytes === 24,
  [CKK.CKK_AES]: (lengthBytes) => [16, 24, 32].includes(lengthBytes),
};

const FUNCTION = 'Cfm3GenerateSymmetricKey';

const genSymKey: KeyCommandRow = {
  name: 'genSymKey',
  group: SYMMETRIC,
  purpose: 'makes a symmetric key',
  login: true,
  flags: {
    '-t': {
      kind: 'number',
      required: true,
      choices: [CKK.CKK_GENERIC_SECRET, RC4, CKK.CKK_DES3, CKK.CKK_AES],
      help: 'type: 16 GENERIC_SECRET, 18 RC4, 21 3DES, 31 AES',
    },
    '-s': { kind: 'number', required: true, help: 'bytes of the key' },
    ...common,
  },
  run: async (session, given) => {
    requireDoable(session, given);
    const keyType = given.number('-t');
    const lengthBytes = given.number('-s');
    const mechanism = secretMechanisms[keyType];
    if (mechanism === undefined) {
      session.failed = true;
      session.printReturn(FUNCTION, 'POLICY');
      session.printNodes('POLICY');
      return;
    }
    if (!secretKeyBytes[keyType]!(lengthBytes))
      throw refused(`Error: -s: no such key has ${lengthBytes} bytes`);
    const template = [
      ...namedTemplate(given),
      ...(keyType === CKK.CKK_DES3 ? [] : [attribute(CKA.CKA_VALUE_LEN, lengthBytes)]),
      attribute(CKA.CKA_EXTRACTABLE, !given.has('-nex')),
      ...secretKeyUses[keyType]!,
    ];
    const access = await newKeyAccess(session, given);
    const handle = await session.call(FUNCTION, (client) =>
      client.generateKey(mechanism, template, undefined, access),
    );
    if (handle === undefined) return;
    session.printReturn(FUNCTION);
    session.print(`        Symmetric Key Created.  Key Handle: ${handle}`, '');
    printAttestation(session, given);
    session.printNodes();
  },
};

async function generatePair(
  session: KeySession,
  given: Given,
  mechanism: number,
  keyType: number,
  publicTemplate: Template,
): Promise<void> {
  requireDoable(session, given);
  const uses = pairUses[keyType]!;
  const access = await newKeyAccess(session, given);
  const pair = await session.call('Cfm3GenerateKeyPair', (client) =>
    client.generateKeyPair(
      mechanism,
      [...namedTemplate(given), ...publicTemplate, ...uses.public],
      [...namedTemplate(given), attribute(CKA.CKA_EXTRACTABLE, !given.has('-nex')), ...uses.private],
      undefined,
      access,
    ),
  );
  if (pair === undefined) return;
  const { publicKey, privateKey } = pair;
  session.printReturn('Cfm3GenerateKeyPair');
  session.print(
    `        Cfm3GenerateKeyPair:    public key handle: ${publicKey}    private key handle: ${privateKey}`,
    '',
  );
  printAttestation(session, given);
  session.printNodes();
}

const genRSAKeyPair: KeyCommandRow = {
  name: 'genRSAKeyPair',
  group: ASYMMETRIC,
  purpose: 'makes an RSA key pair',
  login: true,
  flags: {
    '-m': { kind: 'number', required: true, help: 'bits of the modulus, 2048 or more' },
    '-e': { kind: 'number', required: true, help: 'public exponent, odd, 65537 or more' },
    ...common,
  },
  run: async (session, given) => {
    const exponent = given.number('-e');
    if (exponent > 2 ** 48) throw refused('Error: -e: the exponent is too large');
    const hex = exponent.toString(16);
    await generatePair(session, given, CKM.CKM_RSA_X9_31_KEY_PAIR_GEN, CKK.CKK_RSA, [
      attribute(CKA.CKA_MODULUS_BITS, given.number('-m')),
      attribute(
        CKA.CKA_PUBLIC_EXPONENT,
        Buffer.from(hex.padStart(hex.length + (hex.length % 2), '0'), 'hex'),
      ),
    ]);
  },
};

/** "2 prime256v1, 14 secp384r1, 16 secp256k1" (reference management-tools, section 5.2). */
const curves = { 2: 'P-256', 14: 'P-384', 16: 'secp256k1' } as const;

const genECCKeyPair: KeyCommandRow = {
  name: 'genECCKeyPair',
  group: ASYMMETRIC,
  purpose: 'makes an EC key pair',
  login: true,
  flags: {
    '-i': { kind: 'number', required: true, help: 'curve: 2 prime256v1, 14 secp384r1, 16 secp256k1' },
    ...common,
  },
  run: async (session, given) => {
    const curve = curves[given.number('-i') as keyof typeof curves];
    if (curve === undefined) {
      session.failed = true;
      session.printReturn('Cfm3GenerateKeyPair', 'POLICY');
      session.printNodes('POLICY');
      return;
    }
    await generatePair(session, given, CKM.CKM_EC_KEY_PAIR_GEN, CKK.CKK_EC, [
      attribute(CKA.CKA_EC_PARAMS, curveByName(curve).oid),
    ]);
  },
};

/** What CloudHSM names and no HSM in FIPS mode does. */
const notInFips = (
  name: string,
  group: string,
  purpose: string,
  given: KeyCommandRow['flags'],
): KeyCommandRow => ({
  name,
  group,
  purpose: `${purpose}: HSMs of a cluster do not do it`,
  login: true,
  flags: given,
  run: async (session) => {
    session.failed = true;
    session.printReturn(name === 'genPBEKey' ? 'Cfm3GeneratePBEKey' : 'Cfm3GenerateKeyPair', 'POLICY');
    session.printNodes('POLICY');
  },
});

const listECCCurveIds: KeyCommandRow = {
  name: 'listECCCurveIds',
  group: 'Helper Commands',
  purpose: 'lists the curves of EC keys',
  flags: {},
  run: async (session) =>
    session.print(
      '        Curve ids of genECCKeyPair',
      '        2   prime256v1',
      '        14  secp384r1',
      '        16  secp256k1',
    ),
};

export const generateCommands: readonly KeyCommandRow[] = [
  genRSAKeyPair,
  genECCKeyPair,
  notInFips('genDSAKeyPair', ASYMMETRIC, 'makes a DSA key pair', {
    '-m': { kind: 'number', required: true, help: 'bits of the modulus' },
    ...common,
  }),
  genSymKey,
  notInFips('genPBEKey', SYMMETRIC, 'makes a key from a password', {}),
  listECCCurveIds,
];
