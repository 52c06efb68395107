import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { peerCredentials, tryLockFile } from '../../src/base/host.js';

describe('host', () => {
  let folder: string;

  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'cloudhsm-local-host-'));
  });
  after(() => rmSync(folder, { recursive: true }));

  it('tells who connected a Unix socket', async () => {
    const path = join(folder, 'socket');
    const server = createServer().listen(path);
    await once(server, 'listening');
    const client = connect(path);
    const [peer] = (await once(server, 'connection')) as [Socket];
    // Node keeps the descriptor of a socket in its handle.
    const { fd } = (peer as unknown as { _handle: { fd: number } })._handle;
    expect(peerCredentials(fd)).to.deep.equal({
      pid: process.pid,
      uid: process.getuid!(),
      gid: process.getgid!(),
    });
    client.destroy();
    peer.destroy();
    server.close();
  });

  it('refuses descriptors that are no sockets', () => {
    expect(() => peerCredentials(-1))
      .to.throw()
      .with.property('syscall', 'getsockopt');
    expect(() => peerCredentials('1' as unknown as number)).to.throw(TypeError);
  });

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
