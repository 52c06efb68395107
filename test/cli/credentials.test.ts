import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { ensureCredentials, pinOf } from '../../src/cli/credentials.js';
import { findHome } from '../../src/cli/home.js';

/** pkcs11-provider reads a PIN from a file with BIO_gets into 32 bytes, one of which is the terminator (its src/util.c, get_pin_file);
 * libp11 takes one character more. */
const SHORTEST_LIMIT_CHARACTERS = 31;

describe('generated credentials', () => {
  it('make a PIN that clients have room for', () => {
    const folder = mkdtempSync(join(tmpdir(), 'chl-credentials-'));
    try {
      const { cryptoUser, admin } = ensureCredentials(findHome(folder));
      expect(pinOf(cryptoUser).length).to.be.within(24, SHORTEST_LIMIT_CHARACTERS);
      expect(cryptoUser.password).not.to.equal(admin.password);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});
