import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { openBackupKeys } from '../../../src/backup/keys.js';
import { openLog } from '../../../src/base/log.js';
import { openArchive } from '../../../src/control-plane/archive/archive.js';
import { randomBytes } from '../../../src/crypto/index.js';
import { restoreHsm } from '../../../src/hsm/backup/restore.js';
import { Hsm } from '../../../src/hsm/hsm.js';
import { CKA } from '../../../src/pkcs11/attributes.js';
import { CKK, CKO } from '../../../src/pkcs11/constants.js';
import { attribute } from '../../../src/pkcs11/template.js';
import { openLmdbStore } from '../../../src/store/lmdb-store.js';
import type { RecordStore } from '../../../src/store/record-store.js';
import { sealedStore } from '../../../src/store/sealing.js';
import { startS3, TestKms, withCredentials } from '../../support/aws-stores.js';
import { backupOfHsm, newHsm, settingsOf } from '../../support/backups.js';
import { loggedIn } from '../../support/in-process.js';

const at = { account: '123456789012', region: 'eu-west-1', backupId: 'backup-aaaaaaaaaaa' };

function filesIn(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}

/** Case 21 of the table in reference control-plane-and-backups, section 12.6. */
describe('what an HSM keeps', () => {
  it('is nowhere to be found outside: in its store, its backup, both archives, the keys’ files and the log', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'chl-'));
    const restoreCredentials = withCredentials();
    const kms = new TestKms();
    const s3 = await startS3(join(folder, 's3'), ['backups']);
    const log = openLog('debug', join(folder, 'engine.log'));
    const files = { manufacturer: join(folder, 'mkbk.json'), installation: join(folder, 'akbk.json') };
    const settings = settingsOf({ backupKeys: openBackupKeys(files, log) });
    const storeOf = (name: string): RecordStore =>
      sealedStore(openLmdbStore(join(folder, name)), randomBytes(32), settings.id);
    const canaries = {
      'key bytes': randomBytes(32),
      label: Buffer.from('canary-label-5f1c'),
      user: Buffer.from('canary_user_77'),
      password: Buffer.from('canary password 9b'),
    };
    const store = storeOf('hsm');
    const hsm = await newHsm({ backupKeys: settings.backupKeys! }, store);
    const [name, password] = [canaries.user.toString(), canaries.password.toString()];
    const admin = await loggedIn(hsm, 'admin', 'CO');
    await admin.send('createUser', { name, role: 'CU', password });
    const user = await loggedIn(hsm, name, 'CU', password);
    const template = [
      attribute(CKA.CKA_CLASS, CKO.CKO_SECRET_KEY),
      attribute(CKA.CKA_KEY_TYPE, CKK.CKK_AES),
      attribute(CKA.CKA_TOKEN, true),
      attribute(CKA.CKA_LABEL, canaries.label.toString()),
      attribute(CKA.CKA_VALUE, canaries['key bytes']),
    ];
    const { masked } = await user.send('createObject', { template });
    await user.send('insertMaskedObject', { masked: masked! });

    const folders = { backups: join(folder, 'backups'), keys: join(folder, 'kms') };
    const settingsOfArchives = [
      {},
      {
        s3: { bucket: 'backups', endpoint: s3.endpoint },
        kms: { keyId: 'alias/x', endpoint: await kms.start() },
      },
    ];
    for (const chosen of settingsOfArchives) {
      const archive = openArchive(chosen, folders);
      await archive.store(at, await backupOfHsm(hsm));
      const restored = storeOf(`restored-${Object.keys(chosen).length}`);
      await restoreHsm(restored, settings, [await archive.fetch(at)], log);
      const copy = await Hsm.open(restored, settings, log);
      // The canaries are there, for whom they are.
      expect(
        await (await loggedIn(copy, name, 'CU', password)).send('findObjects', { template: [] }),
      ).to.have.length(1);
      await copy.close();
    }
    await hsm.close();
    await s3.close();
    kms.close();
    restoreCredentials();

    const found: string[] = [];
    const written = filesIn(folder);
    for (const file of written)
      for (const [what, bytes] of Object.entries(canaries)) {
        // A user's name is its record's key in the store: STORAGE.md says so.
        if (what === 'user' && /data\.mdb|journal\.[01]$/.test(file)) continue;
        const contents = readFileSync(file);
        for (const form of [bytes.toString('latin1'), bytes.toString('hex'), bytes.toString('base64')])
          if (contents.includes(form, 0, 'latin1')) found.push(`${what} in ${file}`);
      }
    expect(written.length).to.be.greaterThan(8);
    expect(found).to.deep.equal([]);
    rmSync(folder, { recursive: true });
  });
});
