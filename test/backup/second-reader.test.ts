import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { openBackupKeys } from '../../src/backup/keys.js';
import { silentLog } from '../../src/base/log.js';
import { digest, randomBytes } from '../../src/crypto/index.js';
import { backupOfHsm, newHsm } from '../support/backups.js';
import { projectRoot, type Ran, run } from '../support/engine.js';
import { manyKeys } from '../support/many-keys.js';
import { backupOf, knownFields } from './support.js';

const script = join(projectRoot, 'test', 'support', 'check_backup.py');

describe('a second reader of backups, in Python', () => {
  let folder: string;
  const files = () => ({ manufacturer: join(folder, 'mkbk.json'), installation: join(folder, 'akbk.json') });

  const check = (
    backup: Buffer,
    options: readonly string[] = [],
    words: readonly string[] = [],
  ): Promise<Ran> => {
    const file = join(folder, 'backup');
    writeFileSync(file, backup);
    return run('python3', [...options, script, files().manufacturer, files().installation, file, ...words]);
  };

  before(async function () {
    const { code } = await run('python3', ['--version']);
    if (code === 0) return;
    console.log('      skipped: there is no python3');
    this.skip();
  });

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'chl-'));
  });

  afterEach(() => rmSync(folder, { recursive: true }));

  for (const [what, lengthBytes, chunkSizeBytes, options] of [
    ['in one chunk', 1000, 65536, []],
    ['in many chunks', 10_000, 1024, []],
    ['that fills its chunks', 3072, 1024, []],
    // -S -I: without what is installed beside the standard library.
    ['with the standard library alone', 200, 64, ['-S', '-I']],
  ] as const) {
    it(`reads what was written ${what}`, async () => {
      const state = randomBytes(lengthBytes);
      const fields = { maskingKeyId: randomBytes(8), firmware: 'test-1.0' };
      const keys = openBackupKeys(files(), silentLog);
      const { code, stdout, stderr } = await check(
        await backupOf(state, { keys, fields, chunkSizeBytes }),
        options,
      );
      expect(code, stderr).to.equal(0);
      expect(JSON.parse(stdout)).to.deep.equal({
        header: {
          ...knownFields,
          ...keys.current,
          firmware: 'test-1.0',
          maskingKeyId: fields.maskingKeyId.toString('hex'),
        },
        state: { lengthBytes, sha256: digest('sha256', state).toString('hex') },
      });
    });
  }

  it("reads an HSM's", async () => {
    const hsm = await newHsm({ backupKeys: openBackupKeys(files(), silentLog) });
    await manyKeys(hsm, 3);
    const { code, stdout, stderr } = await check(await backupOfHsm(hsm), [], ['records']);
    expect(code, stderr).to.equal(0);
    expect(JSON.parse(stdout)).to.deep.include({
      records: {
        settings: 3,
        users: hsm.users.count(),
        objects: 3,
        tombstones: 0,
        withdrawals: 0,
        formerUsers: 0,
      },
    });
  });

  it('refuses what was changed', async () => {
    const backup = await backupOf(randomBytes(100), { keys: openBackupKeys(files(), silentLog) });
    backup[backup.length - 1]! ^= 1;
    const { code, stderr } = await check(backup);
    expect(code).to.equal(1);
    expect(stderr).to.match(/refused: KWP/);
  });
});
