import { linkSync, rmSync } from 'node:fs';
import * as z from 'zod';
import { commandFailure } from '../base/errors.js';
import { readFileIfPresent, writePrivateFile } from '../base/files.js';
import type { Log } from '../base/log.js';
import { randomBytes, type SecretKey } from '../crypto/index.js';
import { derivePbk } from './derivation.js';
import type { BackupKeyId } from './header.js';

/** The manufacturer of all types of HSM here: backups of one type are restored on another (reference
 * control-plane-and-backups, section 8.5). */
export const MANUFACTURER_ID = 'SIM-MARVELL';

const KEY_BYTES = 32;

/** A key with its earlier versions; new backups are made with the last one. */
export type KeyVersions = ReadonlyMap<number, Buffer>;

const fileSchema = z.object({
  formatVersion: z.literal(1),
  /** By version, in base64. */
  keys: z.record(
    z.string().regex(/^[1-9]\d{0,8}$/),
    z.string().refine((text) => Buffer.from(text, 'base64').length === KEY_BYTES),
  ),
});

function readKeyFile(file: string, contents: Buffer): KeyVersions {
  try {
    const { keys } = fileSchema.parse(JSON.parse(contents.toString('utf8')));
    const versions = Object.entries(keys).map(([version, key]): [number, Buffer] => [
      Number(version),
      Buffer.from(key, 'base64'),
    ]);
    if (versions.length > 0) return new Map(versions.sort(([one], [other]) => one - other));
  } catch {
    // What was wrong with it may be a part of a key.
  }
  throw commandFailure(
    'BAD_CONFIGURATION',
    `${file} holds no backup keys of this version: put the right file back`,
  );
}

/** Of several processes that make it at once, one does. */
function makeKeyFile(file: string): void {
  const key = randomBytes(KEY_BYTES);
  const unfinished = `${file}.${process.pid}`;
  writePrivateFile(
    unfinished,
    `${JSON.stringify({ formatVersion: 1, keys: { 1: key.toString('base64') } })}\n`,
  );
  key.fill(0);
  try {
    linkSync(unfinished, file);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  } finally {
    rmSync(unfinished);
  }
}

function last(versions: KeyVersions): number {
  return [...versions.keys()].at(-1)!;
}

/** What an HSM has to make backups and to restore them. It never leaves the HSM, and neither does PBK. */
export class BackupKeys {
  /** Which keys new backups need. */
  readonly current: BackupKeyId;

  constructor(
    readonly manufacturerId: string,
    private readonly mkbk: KeyVersions,
    private readonly akbk: KeyVersions,
  ) {
    this.current = { manufacturerId, mkbkVersion: last(mkbk), akbkVersion: last(akbk) };
  }

  /** PBK, to be destroyed after use; undefined for versions that this HSM was not given. */
  pbk(id: BackupKeyId): SecretKey | undefined {
    const mkbk = this.mkbk.get(id.mkbkVersion);
    const akbk = this.akbk.get(id.akbkVersion);
    return mkbk && akbk && derivePbk(mkbk, akbk, id);
  }
}

export interface BackupKeyFiles {
  /** MKBK: the same in all HSMs of the manufacturer. */
  readonly manufacturer: string;
  /** AKBK: the same in all HSMs of the installation. */
  readonly installation: string;
}

/** The keys of this installation's HSMs, made when there are none. Without them no backup can ever be restored: that is
 * said whenever they are made. Throws BAD_CONFIGURATION. */
export function openBackupKeys(files: BackupKeyFiles, log: Log): BackupKeys {
  const open = (file: string): KeyVersions => {
    const contents = readFileIfPresent(file);
    if (contents !== undefined) return readKeyFile(file, contents);
    log.warn(
      { file },
      'made a backup key: backups can be restored only together with this file, and none that was made before',
    );
    makeKeyFile(file);
    return readKeyFile(file, readFileIfPresent(file)!);
  };
  return new BackupKeys(MANUFACTURER_ID, open(files.manufacturer), open(files.installation));
}
