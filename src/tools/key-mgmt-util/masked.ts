import { CKO } from '../../pkcs11/constants.js';
import { refused } from '../failure.js';
import { handleOfPem, referencePem } from '../reference-pem.js';
import { KeyAttributes } from '../sdk3/attributes.js';
import { readGivenFile, writeGivenFile } from '../sdk3/files.js';
import type { KeyCommandRow } from './command.js';
import { common, readPrivateKey, requireDoable } from './common.js';
import { handle as handleFlag, inFile, outFile } from './flags.js';
import { publicHalf } from './public-keys.js';

const EXPORT = 'Key Import/Export Commands';
const TRANSFER = 'Key Transfer Commands';

const extractMaskedObject: KeyCommandRow = {
  name: 'extractMaskedObject',
  group: TRANSFER,
  purpose: 'writes a key to a file that only clusters of the same backup can read',
  login: true,
  flags: { '-o': handleFlag, '-out': outFile },
  run: async (session, given) => {
    const handle = given.number('-o');
    const masked = await session.call('Cfm3ExtractMaskedObject', (client) =>
      client.send('extractMaskedObject', { handle }),
    );
    if (masked === undefined) return;
    writeGivenFile(given.text('-out'), masked);
    session.print('', `Object was masked and written to file "${given.text('-out')}"`);
    session.printReturn('Cfm3ExtractMaskedObject');
  },
};

const insertMaskedObject: KeyCommandRow = {
  name: 'insertMaskedObject',
  group: TRANSFER,
  purpose: 'makes a new key of a masked one',
  login: true,
  flags: { '-f': inFile, '-min_srv': common['-min_srv'], '-timeout': common['-timeout'] },
  run: async (session, given) => {
    requireDoable(session, given);
    const masked = readGivenFile(given.text('-f'));
    const handle = await session.call('Cfm3InsertMaskedObject', (client) => client.copyMaskedObject(masked));
    if (handle === undefined) return;
    session.printReturn('Cfm3InsertMaskedObject');
    session.print(`        New Key Handle: ${handle}`, '');
    session.printNodes();
  },
};

const getCaviumPrivKey: KeyCommandRow = {
  name: 'getCaviumPrivKey',
  group: EXPORT,
  purpose: 'writes a key file that stands for a private key of the HSM, without the key',
  login: true,
  flags: { '-k': handleFlag, '-out': outFile },
  run: async (session, given) => {
    const handle = given.number('-k');
    const attributes = await session.call('getCaviumPrivKey', (client) => KeyAttributes.read(client, handle));
    if (attributes === undefined) return;
    if (attributes.objectClass !== CKO.CKO_PRIVATE_KEY) throw refused('Error: -k: it is no private key');
    writeGivenFile(given.text('-out'), referencePem(handle, publicHalf(attributes)));
    session.print('', `Private Key Handle is written to ${given.text('-out')} in fake PEM format`);
    session.printReturn('getCaviumPrivKey');
  },
};

const isValidKeyHandlefile: KeyCommandRow = {
  name: 'IsValidKeyHandlefile',
  group: 'Helper Commands',
  purpose: 'tells a key file with a handle from one with a real key',
  login: true,
  flags: { '-f': inFile },
  run: async (session, given) => {
    const file = readGivenFile(given.text('-f'));
    const handle = handleOfPem(file.toString('latin1'));
    file.fill(0);
    if (handle === undefined) {
      readPrivateKey(given.text('-f')).pkcs8.fill(0);
      session.print('', 'Input key file has real private key', '');
      return;
    }
    const isThere = await Promise.resolve(session.client.send('locateObject', { handle })).then(
      () => true,
      () => false,
    );
    session.print('', `Input file has ${isThere ? 'valid' : 'invalid'} key handle: ${handle}`, '');
  },
};

export const maskedCommands: readonly KeyCommandRow[] = [
  getCaviumPrivKey,
  isValidKeyHandlefile,
  extractMaskedObject,
  insertMaskedObject,
];
