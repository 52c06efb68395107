import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { openBackupKeys } from '../../src/backup/keys.js';
import { Failure } from '../../src/base/errors.js';
import { type Log, silentLog } from '../../src/base/log.js';
import { backupOf, opened } from './support.js';

describe('the files of backup keys', () => {
  let folder: string;
  const files = () => ({
    manufacturer: join(folder, 'device', 'mkbk.json'),
    installation: join(folder, 'akbk.json'),
  });
  const state = Buffer.from('state');

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'chl-'));
  });

  afterEach(() => rmSync(folder, { recursive: true }));

  it('are made at the first start, for their owner alone, and found at the next one', async () => {
    const backup = await backupOf(state, { keys: openBackupKeys(files(), silentLog) });
    for (const file of Object.values(files())) expect(statSync(file).mode & 0o777).to.equal(0o600);
    const again = openBackupKeys(files(), silentLog);
    expect((await opened(backup, again)).state).to.deep.equal(state);
  });

  for (const lost of ['manufacturer', 'installation'] as const) {
    it(`lead nowhere once the one of the ${lost} was lost, and the log says so`, async () => {
      const backup = await backupOf(state, { keys: openBackupKeys(files(), silentLog) });
      rmSync(files()[lost]);
      const warnings: string[] = [];
      const log = { ...silentLog, warn: (_: unknown, text: string) => warnings.push(text) } as unknown as Log;
      const others = openBackupKeys(files(), log);
      expect(warnings).to.have.length(1);
      expect(warnings[0]).to.match(/none that was made before/);
      expect((await opened(backup, others)).refused).to.match(/damaged, or/);
    });
  }

  for (const [what, contents] of [
    ['no JSON', 'key'],
    ['a key of another length', JSON.stringify({ formatVersion: 1, keys: { 1: 'c2hvcnQ=' } })],
    ['no key', JSON.stringify({ formatVersion: 1, keys: {} })],
    [
      'a version that is none',
      JSON.stringify({ formatVersion: 1, keys: { x: Buffer.alloc(32).toString('base64') } }),
    ],
  ] as const) {
    it(`are refused and left alone when there is ${what} in one`, () => {
      openBackupKeys(files(), silentLog);
      writeFileSync(files().installation, contents);
      expect(() => openBackupKeys(files(), silentLog))
        .to.throw(Failure)
        .with.property('code', 'BAD_CONFIGURATION');
      expect(readFileSync(files().installation, 'utf8')).to.equal(contents);
    });
  }
});
