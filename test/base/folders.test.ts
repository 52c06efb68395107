import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { makeFolder } from '../../src/base/files.js';

describe('a folder that is made with those it is in', () => {
  let directory: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'folders-'));
  });
  afterEach(() => rmSync(directory, { recursive: true }));

  it('is there afterwards, also when it was before', () => {
    const path = join(directory, 'a', 'b', 'c');
    for (let times = 0; times < 2; times++) {
      makeFolder(path, 0o700);
      expect(statSync(path).mode & 0o777).to.equal(0o700);
    }
  });

  it('is refused below a file', () => {
    writeFileSync(join(directory, 'file'), '');
    expect(() => makeFolder(join(directory, 'file'), 0o700)).to.throw('EEXIST');
    expect(() => makeFolder(join(directory, 'file', 'a'), 0o700)).to.throw('ENOTDIR');
  });

  it('is refused, and not waited for, where no folders can be made', function () {
    if (!existsSync('/proc/self')) this.skip();
    expect(() => makeFolder('/proc/no/such/folder', 0o700)).to.throw();
  });
});
