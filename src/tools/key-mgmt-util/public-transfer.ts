import { describeError } from '../../base/errors.js';
import { pem } from '../../base/pem.js';
import { CKA } from '../../pkcs11/attributes.js';
import { CKO } from '../../pkcs11/constants.js';
import { attribute } from '../../pkcs11/template.js';
import { refused } from '../failure.js';
import { fromPem } from '../pem.js';
import { KeyAttributes } from '../sdk3/attributes.js';
import { readGivenFile, writeGivenFile } from '../sdk3/files.js';
import type { Given, KeyCommandRow } from './command.js';
import { common, namedTemplate, pairUses, requireDoable } from './common.js';
import { handle, inFile, outFile } from './flags.js';
import { publicKeyTemplate, spkiOf } from './public-keys.js';
import type { KeySession } from './session.js';

const EXPORT = 'Key Import/Export Commands';

const exportPubKey: KeyCommandRow = {
  name: 'exportPubKey',
  group: EXPORT,
  purpose: 'writes a public key to a PEM file',
  login: true,
  flags: { '-k': handle, '-out': outFile },
  run: async (session, given) => {
    const attributes = await session.call('Cfm3ExportPubKey', (client) =>
      KeyAttributes.read(client, given.number('-k')),
    );
    if (attributes === undefined) return;
    writeGivenFile(given.text('-out'), pem('PUBLIC KEY', spkiOf(attributes)));
    session.print('', `PEM formatted public key is written to ${given.text('-out')}`);
    session.printReturn('Cfm3ExportPubKey');
  },
};

async function createPublic(session: KeySession, given: Given): Promise<void> {
  requireDoable(session, given);
  const pem = readGivenFile(given.text('-f')).toString('latin1');
  const spki = fromPem('PUBLIC KEY', pem);
  let half: ReturnType<typeof publicKeyTemplate>;
  try {
    half = publicKeyTemplate(spki);
  } catch (error) {
    throw refused(`Error: -f: ${describeError(error)}`);
  }
  const { keyType, template } = half;
  const made = await session.call('Cfm3CreatePublicKey', (client) =>
    client.createObject([
      attribute(CKA.CKA_CLASS, CKO.CKO_PUBLIC_KEY),
      attribute(CKA.CKA_KEY_TYPE, keyType),
      ...namedTemplate(given),
      ...template,
      ...pairUses[keyType]!.public,
    ]),
  );
  if (made === undefined) return;
  session.printReturn('Cfm3CreatePublicKey');
  session.print(`        Public Key Handle: ${made}`, '');
  session.printNodes();
}

const publicFlags = {
  '-f': inFile,
  '-l': common['-l'],
  '-sess': common['-sess'],
  '-id': common['-id'],
  '-min_srv': common['-min_srv'],
  '-timeout': common['-timeout'],
} as const;

const importPubKey: KeyCommandRow = {
  name: 'importPubKey',
  group: EXPORT,
  purpose: 'makes a key of the HSM from a public key in a PEM file',
  login: true,
  flags: publicFlags,
  run: createPublic,
};

const createPublicKey: KeyCommandRow = {
  ...importPubKey,
  name: 'createPublicKey',
  purpose: 'the same as importPubKey: the original is not documented',
};

export const publicTransferCommands: readonly KeyCommandRow[] = [importPubKey, createPublicKey, exportPubKey];
