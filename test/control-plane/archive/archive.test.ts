import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { Failure } from '../../../src/base/errors.js';
import {
  type ArchiveSettings,
  type EncryptedArchive,
  openArchive,
} from '../../../src/control-plane/archive/archive.js';
import { S3Store } from '../../../src/control-plane/archive/s3-store.js';
import type { BackupLocation } from '../../../src/control-plane/backup-archive.js';
import { randomBytes } from '../../../src/crypto/index.js';
import { startProxy, startS3, TestKms, withCredentials } from '../../support/aws-stores.js';

const here: BackupLocation = { account: '123456789012', region: 'eu-west-1', backupId: 'backup-aaaaaaaaaaa' };
const other: BackupLocation = { ...here, backupId: 'backup-bbbbbbbbbbb' };
const elsewhere: BackupLocation = { ...here, region: 'us-east-1', backupId: 'backup-ccccccccccc' };

async function refusal(work: Promise<unknown>): Promise<string> {
  try {
    await work;
  } catch (error) {
    expect(error).to.be.instanceOf(Failure).with.property('code', 'BACKUP_REFUSED');
    return (error as Failure).message;
  }
  return 'done';
}

/** Everything below a folder. */
function filesIn(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}

describe('the archive of backups', () => {
  let folder: string;
  let kms: TestKms;
  let settings: Record<'embedded keys, folder' | 'KMS, S3', ArchiveSettings>;
  let endpoints: { s3: string; kms: string };
  const closing: (() => unknown)[] = [];
  const folders = () => ({ backups: join(folder, 'backups'), keys: join(folder, 'keys') });
  const open = (chosen: ArchiveSettings): EncryptedArchive => openArchive(chosen, folders());

  before(async () => {
    closing.push(withCredentials());
    const buckets = mkdtempSync(join(tmpdir(), 'chl-'));
    closing.push(() => rmSync(buckets, { recursive: true, force: true }));
    const s3 = await startS3(buckets, ['backups-eu-west-1', 'backups-us-east-1']);
    kms = new TestKms();
    endpoints = { s3: s3.endpoint, kms: await kms.start() };
    closing.push(s3.close, () => kms.close());
    settings = {
      'embedded keys, folder': {},
      'KMS, S3': {
        s3: { bucket: 'backups-{region}', prefix: 'hsm/', endpoint: endpoints.s3 },
        kms: { keyId: 'alias/cloudhsm-backups', endpoint: endpoints.kms },
      },
    };
  });

  after(async () => {
    for (const close of closing.reverse()) await close();
  });

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'chl-'));
    kms.states.clear();
  });

  afterEach(() => rmSync(folder, { recursive: true }));

  for (const name of ['embedded keys, folder', 'KMS, S3'] as const) {
    describe(`with ${name}`, () => {
      let archive: EncryptedArchive;
      beforeEach(() => {
        archive = open(settings[name]);
      });

      for (const lengthBytes of [1, 1024 * 1024, 9 * 1024 * 1024 + 5])
        it(`gives back the ${lengthBytes} bytes that it was given, also to a later process`, async () => {
          const container = randomBytes(lengthBytes);
          await archive.store(here, container);
          await archive.store(here, container);
          expect(await open(settings[name]).fetch(here)).to.deep.equal(container);
          expect(await archive.list(here.region, here.account)).to.deep.equal([here.backupId]);
          await archive.remove(here);
          await archive.remove(here);
          expect(await refusal(archive.fetch(here))).to.match(
            /backup-aaaaaaaaaaa is not at .*eu-west-1\/123456789012\/backup-aaaaaaaaaaa$/,
          );
          expect(await archive.list(here.region, here.account)).to.deep.equal([]);
        });

      it('case 23: copies the container to another region as it is, under a key of that region', async () => {
        const container = randomBytes(5000);
        await archive.store(here, container);
        await archive.copy(here, elsewhere);
        await archive.remove(here);
        expect(await archive.fetch(elsewhere)).to.deep.equal(container);
        await archive.remove(elsewhere);
      });

      it('refuses places that would lead elsewhere', async () => {
        for (const wrong of [{ backupId: 'backup-../../../x' }, { region: '../x' }, { account: '1' }]) {
          const failure = await archive
            .store({ ...here, ...wrong }, Buffer.alloc(1))
            .catch((error: Error) => error.message);
          expect(failure).to.match(/malformed/);
        }
      });
    });
  }

  describe('in a folder', () => {
    const fileOf = ({ region, account, backupId }: BackupLocation) =>
      join(folder, 'backups', region, account, backupId);
    let archive: EncryptedArchive;
    const container = randomBytes(3000);

    beforeEach(async () => {
      archive = open({});
      await archive.store(here, container);
    });

    it('is for its owner alone, and shows nothing of the container', () => {
      for (const file of filesIn(folder)) {
        expect(statSync(file).mode & 0o777, file).to.equal(0o600);
        expect(readFileSync(file).includes(container.subarray(0, 8)), file).to.equal(false);
      }
    });

    it('case 1: refuses every changed bit and every cut', async () => {
      const archived = readFileSync(fileOf(here));
      const step = 97;
      for (let bit = 0; bit < archived.length * 8; bit += bit < 4000 ? 1 : step) {
        const changed = Buffer.from(archived);
        changed[bit >> 3]! ^= 1 << (bit & 7);
        writeFileSync(fileOf(here), changed);
        expect(await refusal(archive.fetch(here)), `bit ${bit}`).to.not.equal('done');
      }
      for (let end = 0; end < archived.length; end += 31) {
        writeFileSync(fileOf(here), archived.subarray(0, end));
        expect(await refusal(archive.fetch(here)), `${end} bytes`).to.not.equal('done');
      }
      writeFileSync(fileOf(here), Buffer.concat([archived, Buffer.alloc(16)]));
      expect(await refusal(archive.fetch(here))).to.not.equal('done');
    });

    it("case 2: refuses one backup's bytes under another's id, and in another region", async () => {
      await archive.store(other, randomBytes(3000));
      await archive.store(elsewhere, randomBytes(3000));
      const archived = readFileSync(fileOf(here));
      for (const at of [other, elsewhere]) {
        writeFileSync(fileOf(at), archived);
        expect(await refusal(archive.fetch(at))).to.match(/not the one that was archived under this id/);
      }
    });

    it('case 3: says which key is missing', async () => {
      rmSync(join(folder, 'keys', 'eu-west-1.key'));
      expect(await refusal(archive.fetch(here))).to.match(
        /eu-west-1\.key is missing: the backups of eu-west-1/,
      );
    });

    it('encrypts two archives of the same container under keys that have nothing in common', async () => {
      await archive.store(other, container);
      const [one, two] = [readFileSync(fileOf(here)), readFileSync(fileOf(other))];
      expect(one.subarray(-3000).equals(two.subarray(-3000))).to.equal(false);
    });

    it('leaves what was there when writing did not come to its end', async () => {
      writeFileSync(`${fileOf(here)}.new`, 'half');
      expect(await archive.fetch(here)).to.deep.equal(container);
      expect(await archive.list(here.region, here.account)).to.deep.equal([here.backupId]);
    });
  });

  describe('with a KMS', () => {
    for (const [state, expected] of [
      ['DisabledException', /KMS key .* of eu-west-1 is disabled/],
      ['KMSInvalidStateException', /about to be deleted/],
      ['NotFoundException', /is not there/],
    ] as const) {
      it(`case 3: says so when the key answers ${state}`, async () => {
        const archive = open({ kms: settings['KMS, S3'].kms });
        await archive.store(here, randomBytes(10));
        kms.states.set(here.region, state);
        expect(await refusal(archive.fetch(here))).to.match(expected);
        expect(await refusal(archive.store(other, randomBytes(10)))).to.match(expected);
        expect(await archive.list(here.region, here.account)).to.deep.equal([here.backupId]);
      });
    }

    it('asks the KMS of each region, with signed requests', async () => {
      const archive = open({ kms: settings['KMS, S3'].kms });
      kms.requests.length = 0;
      await archive.store(here, randomBytes(10));
      await archive.copy(here, elsewhere);
      expect(kms.requests).to.deep.equal([
        'eu-west-1 TrentService.GenerateDataKey',
        'eu-west-1 TrentService.Decrypt',
        'us-east-1 TrentService.GenerateDataKey',
        'us-east-1 TrentService.Decrypt',
      ]);
    });

    it("case 2: refuses one backup's bytes under another's id", async () => {
      const archive = open({ kms: settings['KMS, S3'].kms });
      await archive.store(here, randomBytes(10));
      await archive.store(other, randomBytes(10));
      const at = join(folder, 'backups', here.region, here.account);
      writeFileSync(join(at, other.backupId), readFileSync(join(at, here.backupId)));
      expect(await refusal(archive.fetch(other))).to.match(/not the one that was archived under this id/);
    });
  });

  describe('in S3', () => {
    for (const [what, breaks, lengthBytes] of [
      ['the second part of several', /partNumber=2/, 20 * 1024 * 1024],
      ['the one request of a small one', /x-id=PutObject/, 100_000],
    ] as const) {
      it(`has nothing when ${what} broke off`, async () => {
        const proxy = await startProxy(
          endpoints.s3,
          ({ method, url }) => method === 'PUT' && breaks.test(url ?? ''),
        );
        const broken = open({ s3: { bucket: 'backups-{region}', endpoint: proxy.endpoint } });
        const failure = await broken.store(here, randomBytes(lengthBytes)).catch((error: Error) => error);
        expect(failure).to.be.instanceOf(Error);
        const whole = open({ s3: { bucket: 'backups-{region}', endpoint: endpoints.s3 } });
        expect(await refusal(whole.fetch(here))).to.match(
          /is not at s3:\/\/backups-eu-west-1\/eu-west-1\/123456789012\//,
        );
        expect(await whole.list(here.region, here.account)).to.deep.equal([]);
        proxy.close();
      });
    }

    it('is not believed when more comes than a backup has, whatever the length that is announced', async () => {
      let ended: () => void = () => undefined;
      const isEnded = new Promise<void>((resolve) => {
        ended = resolve;
      });
      const endless = createServer((_request, response) => {
        response.on('close', ended);
        const more = (): void => {
          if (!response.destroyed) response.write(Buffer.alloc(10_000), () => setImmediate(more));
        };
        more();
      });
      await new Promise<void>((resolve) => endless.listen(0, '127.0.0.1', resolve));
      const endpoint = `http://127.0.0.1:${(endless.address() as AddressInfo).port}`;
      const store = new S3Store({ bucket: 'endless', endpoint }, here.region);
      const failure = await store.get('key', 100_000).catch((error: Error) => error);
      expect(failure).to.be.instanceOf(Error).with.property('message', 'key is no archived backup');
      await isEnded;
      endless.close();
    });
  });
});
