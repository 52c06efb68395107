import { expect } from 'chai';
import { decodeHeader } from '../../src/backup/header.js';
import { BackupKeys, MANUFACTURER_ID } from '../../src/backup/keys.js';
import { randomBytes } from '../../src/crypto/index.js';
import { ebkOfAll, joined, type Parts, partsOf } from './forging.js';
import { backupOf, counting, knownKeys, opened, versions } from './support.js';
import { tamperedChunks } from './tampered-chunks.js';
import { tamperedHeaders } from './tampered-headers.js';

const CHUNK_SIZE = 64;
const secret = Buffer.from('what nobody but an HSM may read, '.repeat(6));

/** The reader knows two versions of each key, so that the wrong one can be tried. */
const keys = new BackupKeys(
  MANUFACTURER_ID,
  versions([2, randomBytes(32)], [1, counting(0, 32)]),
  versions([2, randomBytes(32)], [1, counting(32, 32)]),
);

describe('a backup that somebody touched', () => {
  const make = (ebk: Buffer): Promise<Buffer> =>
    backupOf(secret, { fresh: { ebk, nonce: randomBytes(16) }, chunkSizeBytes: CHUNK_SIZE });
  const generic = /damaged, or HSMs of another manufacturer or another installation/;

  it('is read when nobody did', async () => {
    const backup = joined(partsOf(await make(Buffer.from(ebkOfAll))));
    expect((await opened(backup, keys)).state).to.deep.equal(secret);
  });

  for (const { case: number, what, tamper, says, logs } of [...tamperedHeaders, ...tamperedChunks]) {
    it(`case ${number}: is refused with ${what}`, async () => {
      const parts = partsOf(await make(Buffer.from(ebkOfAll)));
      tamper(parts, partsOf(await make(randomBytes(32))));
      const { refused, details } = await opened(joined(parts), keys);
      expect(refused, 'what is said').to.match(says ?? generic);
      expect(details.length, 'details').to.equal(logs === undefined ? 0 : 1);
      if (logs !== undefined) expect(details[0]).to.match(logs);
    });
  }

  it('is refused whichever bit was flipped', async () => {
    const backup = await make(Buffer.from(ebkOfAll));
    for (let bit = 0; bit < backup.length * 8; bit++) {
      const changed = Buffer.from(backup);
      changed[bit >> 3]! ^= 1 << (bit & 7);
      expect((await opened(changed, keys)).refused, `bit ${bit}`).to.be.a('string');
    }
  });

  it('is refused wherever it was cut', async () => {
    const backup = await make(Buffer.from(ebkOfAll));
    for (let end = 0; end < backup.length; end++)
      expect((await opened(backup.subarray(0, end), keys)).refused, `${end} bytes`).to.be.a('string');
  });

  for (const [what, mkbk, akbk] of [
    ["another manufacturer's MKBK", randomBytes(32), counting(32, 32)],
    ["another installation's AKBK", counting(0, 32), randomBytes(32)],
  ] as const) {
    it(`case 7: does not open under ${what}`, async () => {
      const others = new BackupKeys(MANUFACTURER_ID, versions([1, mkbk]), versions([1, akbk]));
      const { refused, details } = await opened(await make(Buffer.from(ebkOfAll)), others);
      expect(refused).to.match(generic);
      expect(details[0]).to.match(/^the EBK does not unwrap$/);
    });
  }

  it('case 16: is not made of nothing', async () => {
    const failure = await backupOf(Buffer.alloc(0)).catch((error: Error) => error.message);
    expect(failure).to.match(/0 bytes/);
  });

  it('case 20: two backups of the same state have nothing in common but their fields', async () => {
    const [one, other] = [partsOf(await backupOf(secret)), partsOf(await backupOf(secret))];
    const [first, second] = [decodeHeader(one.header), decodeHeader(other.header)];
    expect(first.wrappedEbk).to.not.deep.equal(second.wrappedEbk);
    expect(first.nonce).to.not.deep.equal(second.nonce);
    const blocks = (parts: Parts): string[] =>
      parts.chunks.flatMap((chunk) =>
        Array.from({ length: (chunk.length - 4) / 8 }, (_, at) =>
          chunk.toString('hex', 4 + at * 8, 12 + at * 8),
        ),
      );
    const present = new Set(blocks(one));
    expect(blocks(other).filter((block) => present.has(block))).to.deep.equal([]);
  });

  it('case 22: says the same of wrong padding and of a wrong integrity check value', async () => {
    const parts = partsOf(await make(Buffer.from(ebkOfAll)));
    const said: (string | undefined)[] = [];
    for (let at = 4; at < parts.chunks[0]!.length; at += 3) {
      const chunk = Buffer.from(parts.chunks[0]!);
      chunk[at]! ^= 0x80;
      said.push(
        (await opened(joined({ ...parts, chunks: [chunk, ...parts.chunks.slice(1)] }), keys)).refused,
      );
    }
    expect(new Set(said).size).to.equal(1);
  });

  it('is restored with a key of an earlier version', async () => {
    const rotated = new BackupKeys(
      MANUFACTURER_ID,
      versions([1, counting(0, 32)], [2, randomBytes(32)]),
      versions([1, counting(32, 32)], [2, randomBytes(32)]),
    );
    expect(rotated.current).to.include({ mkbkVersion: 2, akbkVersion: 2 });
    const old = await backupOf(secret, { keys: knownKeys });
    const fresh = await backupOf(secret, { keys: rotated });
    expect((await opened(old, rotated)).state).to.deep.equal(secret);
    expect((await opened(fresh, rotated)).state).to.deep.equal(secret);
    expect((await opened(fresh, knownKeys)).refused).to.match(generic);
  });
});
