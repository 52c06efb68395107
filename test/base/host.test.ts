import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { tryLockFile } from '../../src/base/host.js';

describe('host', () => {
  let folder: string;

  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'cloudhsm-local-host-'));
  });
  after(() => rmSync(folder, { recursive: true }));

  it('locks a file once, until its process ends', () => {
    const path = join(folder, 'lock');
    const host = new URL('../../src/base/host.js', import.meta.url).href;
    const elsewhere = () =>
      execFileSync(process.execPath, [
        '--input-type=module',
        '--eval',
        `import { tryLockFile } from ${JSON.stringify(host)}; console.log(tryLockFile(${JSON.stringify(path)}));`,
      ])
        .toString()
        .trim();
    expect(elsewhere()).to.equal('true');
    expect(tryLockFile(path)).to.equal(true);
    expect(tryLockFile(path)).to.equal(false);
    expect(elsewhere()).to.equal('false');
    expect(statSync(path).mode & 0o777).to.equal(0o600);
  });

  it('says why a file cannot be locked', () => {
    expect(() => tryLockFile(join(folder, 'absent', 'lock')))
      .to.throw(/open/)
      .with.property('syscall', 'open');
    expect(() => tryLockFile('a\0b')).to.throw(/open/);
  });
});
