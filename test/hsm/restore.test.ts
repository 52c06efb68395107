import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { writeBackup } from '../../src/backup/container.js';
import { type BackupKeys, MANUFACTURER_ID } from '../../src/backup/keys.js';
import { Failure } from '../../src/base/errors.js';
import { type Log, silentLog } from '../../src/base/log.js';
import { randomBytes } from '../../src/crypto/index.js';
import { type ContentRecord, encodeRecord, recordsOf } from '../../src/hsm/backup/content.js';
import { restoreHsm } from '../../src/hsm/backup/restore.js';
import { Hsm } from '../../src/hsm/hsm.js';
import { handleKey } from '../../src/hsm/object-index.js';
import { decodeObject, encodeObject } from '../../src/objects/record.js';
import { openLmdbStore } from '../../src/store/lmdb-store.js';
import { openMemoryStore } from '../../src/store/memory-store.js';
import type { RecordStore } from '../../src/store/record-store.js';
import {
  backupOfHsm,
  CLUSTER,
  type HsmOptions,
  newBackupKeys,
  newHsm,
  restoredHsm,
  settingsOf,
} from '../support/backups.js';
import { projectRoot } from '../support/engine.js';
import { manyKeys } from '../support/many-keys.js';

const MASKING_KEY = Buffer.from('masking-key');
const KEYS = 900;

async function refusal(container: Buffer, options: HsmOptions, log?: Log): Promise<string> {
  const store = openMemoryStore();
  try {
    await restoredHsm(container, options, store, log);
  } catch (error) {
    expect(error).to.be.instanceOf(Failure).with.property('code', 'BACKUP_REFUSED');
    expect(store.get('settings', MASKING_KEY), 'the store stays without an HSM').to.equal(undefined);
    return (error as Failure).message;
  }
  return 'restored';
}

describe('an HSM refuses to restore', () => {
  const generic = /^the backup is damaged, or HSMs of another manufacturer or another installation made it/;

  it('case 18: what is of another mode or a later type of HSM, and takes an earlier one', async () => {
    const backupKeys = newBackupKeys();
    const backups = {
      hsm1: await backupOfHsm(await newHsm({ backupKeys, hsmType: 'hsm1.medium' })),
      fips: await backupOfHsm(await newHsm({ backupKeys })),
      nonFips: await backupOfHsm(await newHsm({ backupKeys, mode: 'NON_FIPS' })),
    };
    const cases: readonly [keyof typeof backups, HsmOptions, RegExp][] = [
      ['hsm1', { hsmType: 'hsm2m.medium' }, /^restored$/],
      ['hsm1', { hsmType: 'hsm1.medium' }, /^restored$/],
      ['fips', { hsmType: 'hsm1.medium' }, /of an hsm2m.medium.* does not restore those/],
      ['fips', { mode: 'NON_FIPS' }, /in mode FIPS, and hsm-bbbbbbbbbbb is in mode NON_FIPS/],
      ['nonFips', { mode: 'FIPS' }, /in mode NON_FIPS/],
      ['nonFips', { mode: 'NON_FIPS' }, /^restored$/],
      ['hsm1', { mode: 'NON_FIPS' }, /in mode FIPS/],
    ];
    for (const [name, options, expected] of cases)
      expect(await refusal(backups[name], { backupKeys, ...options }), name).to.match(expected);
  });

  it('case 7: what HSMs of another manufacturer or another installation made', async () => {
    const backup = await backupOfHsm(await newHsm({ backupKeys: newBackupKeys() }));
    expect(await refusal(backup, { backupKeys: newBackupKeys() })).to.match(generic);
    expect(await refusal(backup, { backupKeys: newBackupKeys('SIM-OTHER') })).to.match(
      /HSMs of SIM-MARVELL made it/,
    );
  });

  describe('case 17: content that does not hold together', () => {
    let backupKeys: BackupKeys;
    let records: ContentRecord[];

    before(async () => {
      backupKeys = newBackupKeys();
      const store = openMemoryStore();
      await manyKeys(await newHsm({ backupKeys }, store), 2);
      records = [];
      for await (const record of recordsOf(store.snapshot())) records.push(record);
    });

    /** A container as an HSM would make it of such content. */
    async function containerOf(content: readonly ContentRecord[], more = Buffer.alloc(0)): Promise<Buffer> {
      const state = Buffer.concat([...content.map(encodeRecord), more]);
      const fields = {
        hsmType: 'hsm2m.medium',
        mode: 'FIPS',
        clusterId: CLUSTER,
        createdAtMs: 1,
        stateSchemaVersion: 1,
      } as const;
      const pieces: Buffer[] = [];
      for await (const piece of writeBackup(backupKeys, fields, {
        lengthBytes: state.length,
        pieces: () => [Buffer.from(state)],
      }))
        pieces.push(piece);
      return Buffer.concat(pieces);
    }

    const changed = (
      table: ContentRecord['table'],
      change: (value: Buffer) => Buffer,
      at = 0,
    ): ContentRecord[] => {
      const record = records.filter((one) => one.table === table)[at]!;
      return records.map((one) => (one === record ? { ...one, value: change(one.value) } : one));
    };
    const setting = (name: string, value: Buffer | undefined): ContentRecord[] =>
      records.flatMap((record) => {
        if (record.key.toString() !== name) return [record];
        return value === undefined ? [] : [{ ...record, value }];
      });
    const user = (change: object) => (value: Buffer) =>
      Buffer.from(JSON.stringify({ ...JSON.parse(value.toString()), ...change }));
    const object = (change: object) => (value: Buffer) => encodeObject({ ...decodeObject(value), ...change });
    const sorted = (all: ContentRecord[]): ContentRecord[] => {
      const place = ({ table, key }: ContentRecord): string =>
        `${['settings', 'users', 'objects', 'tombstones', 'withdrawals', 'formerUsers'].indexOf(table)}${key.toString('hex')}`;
      return all.sort((a, b) => (place(a) < place(b) ? -1 : 1));
    };
    const inserted = (record: ContentRecord): ContentRecord[] => sorted([...records, record]);
    const trust = JSON.stringify({ certificate: 'x', trustAnchor: 'x' });
    const withIdentity = (settings: Record<string, string>): ContentRecord[] => {
      const added = Object.entries(settings).map(
        ([name, value]): ContentRecord => ({
          table: 'settings',
          key: Buffer.from(name),
          value: Buffer.from(value),
        }),
      );
      return sorted([...records, ...added]);
    };
    const withdrawal = (handle: number, version = 1): ContentRecord => ({
      table: 'withdrawals',
      key: Buffer.concat([handleKey(handle), Buffer.from([0, 0, 0, version])]),
      value: Buffer.alloc(0),
    });
    const tombstone = (handle: number): ContentRecord => ({
      table: 'tombstones',
      key: handleKey(handle),
      value: Buffer.alloc(0),
    });
    const firstHandle = (): number =>
      decodeObject(records.find(({ table }) => table === 'objects')!.value).handle;

    const rows: readonly [string, () => readonly ContentRecord[], RegExp][] = [
      ['no masking key', () => setting('masking-key', undefined), /no masking key/],
      ['a masking key of another length', () => setting('masking-key', Buffer.alloc(16)), /no masking key/],
      [
        'a second masking key',
        () => [records[0]!, records.find(({ key }) => key.equals(MASKING_KEY))!, ...records.slice(1)],
        /twice or out of place/,
      ],
      [
        'a setting that belongs to one HSM',
        () => inserted({ table: 'settings', key: Buffer.from('audit-head'), value: Buffer.from('{}') }),
        /no content/,
      ],
      [
        'a setting that there is not',
        () => inserted({ table: 'settings', key: Buffer.from('unheard-of'), value: Buffer.from('{}') }),
        /no content/,
      ],
      ['a certificate without a key', () => withIdentity({ 'cluster-trust': '{}' }), /not for its key/],
      [
        'a certificate that is none',
        () => withIdentity({ 'cluster-key': 'x', 'cluster-trust': trust }),
        /not for its key/,
      ],
      [
        'trust that is no JSON',
        () => withIdentity({ 'cluster-key': 'x', 'cluster-trust': '{' }),
        /not for its key/,
      ],
      ['no ids for users', () => setting('users-next-id', undefined), /no users/],
      ['no users', () => records.filter(({ table }) => table === 'settings'), /no users/],
      ['two users of one id', () => changed('users', user({ id: 2 })), /not its own/],
      ['a user of an id that is to be given', () => changed('users', user({ id: 99 })), /not its own/],
      ['a user of no role', () => changed('users', user({ role: 'ROOT' })), /a user is malformed/],
      [
        'a user in another place',
        () => changed('users', user({ name: 'elsewhere' })),
        /where its name belongs/,
      ],
      ['a user that is no JSON', () => changed('users', () => Buffer.from('{')), /a user is malformed/],
      [
        'a user twice',
        () => inserted(records.find(({ table }) => table === 'users')!),
        /twice or out of place/,
      ],
      ['an object without its owner', () => changed('objects', object({ owner: 'nobody' })), /has no owner/],
      ['an object that a CO owns', () => changed('objects', object({ owner: 'admin' })), /has no owner/],
      [
        'an object in another place',
        () => changed('objects', object({ handle: 1 })),
        /where its handle belongs/,
      ],
      [
        'an object that is cut off',
        () => changed('objects', (value) => value.subarray(0, -1)),
        /malformed frame/,
      ],
      ['an object that is none', () => changed('objects', () => Buffer.alloc(0)), /malformed frame/],
      ['a session object', () => changed('objects', object({ attributes: new Map() })), /no token object/],
      ['an object that was destroyed', () => inserted(tombstone(firstHandle())), /there and destroyed/],
      [
        'a malformed former user',
        () => inserted({ table: 'formerUsers', key: Buffer.from('bob'), value: Buffer.alloc(3) }),
        /malformed former user/,
      ],
      ['the object of a former user', () => changed('users', user({ generation: 1 }), 2), /has no owner/],
      [
        'a malformed tombstone',
        () => inserted({ ...tombstone(1), key: Buffer.alloc(4) }),
        /malformed tombstone/,
      ],
      ['an object that was taken back', () => inserted(withdrawal(firstHandle())), /there and withdrawn/],
      [
        'an object that was taken back twice',
        () => sorted([...records, withdrawal(6400, 1), withdrawal(6400, 2)]),
        /withdrawn twice/,
      ],
      [
        'a malformed withdrawal',
        () => inserted({ ...withdrawal(1), value: Buffer.alloc(1) }),
        /malformed withdrawal/,
      ],
    ];

    it('is content of an HSM when nobody changed it', async () => {
      expect(await refusal(await containerOf(records), { backupKeys })).to.equal('restored');
    });

    for (const [what, content, expected] of rows) {
      it(`such as ${what}`, async () => {
        const details: string[] = [];
        const log = {
          ...silentLog,
          warn: (_: unknown, text: string) => details.push(text),
        } as unknown as Log;
        expect(await refusal(await containerOf(content()), { backupKeys }, log)).to.match(generic);
        expect(details.join()).to.match(expected);
      });
    }

    it('such as a record of a table that is none, or longer than there is', async () => {
      for (const more of ['07000000000000', '03000800000000', '0300ff00000000', '030008ffffffff0000'])
        expect(
          await refusal(await containerOf(records, Buffer.from(more, 'hex')), { backupKeys }),
          more,
        ).to.match(/damaged|cut off/);
    });
  });

  it('and makes no backup of its own content if that does not hold together', async () => {
    const store = openMemoryStore();
    const hsm = await newHsm({ backupKeys: newBackupKeys() }, store);
    await manyKeys(hsm, 1);
    await store.write([{ table: 'users', key: Buffer.from('crypto_user'), value: undefined }]);
    const failure = await backupOfHsm(hsm).catch((error: Failure) => error);
    expect(failure).to.have.property('code', 'CORRUPT_STORE');
  });
});

describe('a restore that does not come to its end', function () {
  this.timeout(120_000);
  const secrets = [randomBytes(32), randomBytes(32)] as const;
  const backupKeys = newBackupKeys(MANUFACTURER_ID, ...secrets);
  let container: Buffer;

  before(async () => {
    const hsm = await newHsm({ backupKeys });
    await manyKeys(hsm, KEYS);
    container = await backupOfHsm(hsm);
  });

  /** A store that fails with one of its writes. */
  const failingAt = (inner: RecordStore, fatal: number): RecordStore & { writes: number } => {
    const store = {
      ...inner,
      writes: 0,
      write: async (changes: Parameters<RecordStore['write']>[0]) => {
        if (store.writes++ === fatal) throw new Failure('CKR_DEVICE_MEMORY', 'the disk is gone');
        await inner.write(changes);
      },
    };
    return store;
  };

  it('leaves no HSM, whichever write was its last, and the next one is whole', async () => {
    const settings = settingsOf({ backupKeys });
    const counting = failingAt(openMemoryStore(), -1);
    await restoreHsm(counting, settings, [container], silentLog);
    expect(counting.writes).to.be.greaterThan(3);
    for (let fatal = 0; fatal < counting.writes; fatal++) {
      const inner = openMemoryStore();
      const failure = await restoreHsm(failingAt(inner, fatal), settings, [container], silentLog).catch(
        (error: Failure) => error.code,
      );
      expect(failure).to.equal('CKR_DEVICE_MEMORY');
      expect(inner.get('settings', MASKING_KEY), `write ${fatal}`).to.equal(undefined);
      await restoreHsm(inner, settings, [container], silentLog);
      expect((await Hsm.open(inner, settings, silentLog)).objects.count).to.equal(KEYS);
    }
  });

  it('leaves no HSM or a whole one after kill -9', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'chl-'));
    const settings = settingsOf({ backupKeys });
    writeFileSync(join(folder, 'backup'), container);
    for (let round = 0; round < 6; round++) {
      const directory = join(folder, `store-${round}`);
      const child = fork(
        join(projectRoot, 'dist', 'test', 'support', 'restoring.js'),
        [directory, join(folder, 'backup')],
        {
          execArgv: [],
        },
      );
      child.send(secrets.map((key) => key.toString('hex')));
      await once(child, 'message');
      await new Promise((resolve) => setTimeout(resolve, Math.random() * 150));
      child.kill('SIGKILL');
      await once(child, 'exit');
      const store = openLmdbStore(directory);
      if (store.get('settings', MASKING_KEY) === undefined)
        await restoreHsm(store, settings, [container], silentLog);
      const hsm = await Hsm.open(store, settings, silentLog);
      expect(hsm.objects.count).to.equal(KEYS);
      expect([...hsm.objects.all()]).to.have.length(KEYS);
      await hsm.close();
    }
    rmSync(folder, { recursive: true });
  });
});
