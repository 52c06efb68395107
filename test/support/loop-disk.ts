import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { run } from './engine.js';

/** Enough for whoever writes until it fails. Files of zeros take no room. */
const IMAGE_BYTES = 256 * 1024 * 1024;

/** A file system in a file, which can fail under the files that are open on it. Only root may mount one, and not everywhere. */
export class LoopDisk {
  readonly folder = mkdtempSync(join(tmpdir(), 'chl-'));
  readonly #image = `${this.folder}.ext4`;

  /** Skips the test where this machine cannot have one, and says why. */
  async make(test: Mocha.Context): Promise<void> {
    writeFileSync(this.#image, '');
    truncateSync(this.#image, IMAGE_BYTES);
    const obstacle = (await this.#run('mkfs.ext4', '-q', '-F', this.#image)) ?? (await this.#mount());
    if (obstacle === undefined) return;
    console.warn(`    skipped: ${obstacle}`);
    test.skip();
  }

  async #run(command: string, ...words: readonly string[]): Promise<string | undefined> {
    const { code, stderr } = await run(command, words);
    return code === 0 ? undefined : `${command} says ${stderr.trim()}`;
  }

  #mount(): Promise<string | undefined> {
    return this.#run('mount', '-o', 'loop', this.#image, this.folder);
  }

  /** From now on nothing that is written to it reaches it. */
  async fail(): Promise<void> {
    const said = await this.#run('mount', '-o', 'remount,abort', this.folder);
    if (said !== undefined) throw new Error(said);
  }

  /** As a new machine would find it. Nothing may be open on it. */
  async mend(): Promise<void> {
    await this.#run('umount', this.folder);
    const { code, stderr } = await run('fsck.ext4', ['-p', this.#image]);
    if (code !== null && code >= 2) throw new Error(stderr);
    const said = await this.#mount();
    if (said !== undefined) throw new Error(said);
  }

  async remove(): Promise<void> {
    await this.#run('umount', this.folder);
    rmSync(this.folder, { recursive: true, force: true });
    rmSync(this.#image, { force: true });
  }
}
