import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TLSSocket } from 'node:tls';
import { expect } from 'chai';
import { needsClient } from '../support/clients.js';
import { modulePath, TestEngine } from '../support/engine.js';
import {
  expectSuccess,
  generateKeyPair,
  type KeyKind,
  keyKinds,
  keyUri,
  opensslEnvironment,
  plain,
  selfSign,
} from './support/openssl.js';
import { freePort, Server } from './support/server.js';

const kinds = keyKinds.slice(0, 2);

describe('TLS with HSM keys', function () {
  this.timeout(60_000);

  let engine: TestEngine;
  let folder: string;
  /** A server that lets in whoever has one of the HSM's keys, and says who it was. */
  let server: ReturnType<typeof createServer>;

  const path = (name: string): string => join(folder, name);
  const certificateOf = ({ label }: KeyKind): string => path(`${label}.pem`);

  before(async function () {
    needsClient(this, 'openssl', 'openssl');
    needsClient(this, 'pkcs11.so', 'libengine-pkcs11-openssl');
    needsClient(this, 'pkcs11-tool', 'opensc');
    needsClient(this, 'curl', 'curl');
    folder = mkdtempSync(join(tmpdir(), 'chl-tls-'));
    engine = await TestEngine.start();
    for (const kind of kinds) {
      await generateKeyPair(engine, kind);
      await selfSign(engine, kind, certificateOf(kind));
    }
    const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost', '-days', '2'];
    const files = ['-keyout', path('server.key'), '-out', path('server.pem')];
    const request = ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', ...subject, ...files];
    expectSuccess(await plain('openssl', request));
    const options = {
      key: readFileSync(path('server.key')),
      cert: readFileSync(path('server.pem')),
      ca: kinds.map((kind) => readFileSync(certificateOf(kind))),
      requestCert: true,
    };
    server = createServer(options, ({ socket }, response) => {
      const tls = socket as TLSSocket;
      response.end(`${tls.getProtocol()} ${tls.getPeerX509Certificate()?.fingerprint256}`);
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
  });

  after(async () => {
    server?.close();
    await engine?.stop();
    if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
  });

  for (const kind of kinds) {
    for (const version of ['1.2', '1.3']) {
      it(`curl proves over TLS ${version} who it is, ${kind.name}`, async () => {
        const own = ['--engine', 'pkcs11', '--key-type', 'ENG', '--key', keyUri(engine, kind)];
        const certificates = ['--cert', certificateOf(kind), '--cacert', path('server.pem')];
        const { port } = server.address() as AddressInfo;
        const limits = [`--tlsv${version}`, '--tls-max', version, '--max-time', '20'];
        const words = ['-sS', ...limits, ...own, ...certificates, `https://localhost:${port}/`];
        const ran = await engine.run('curl', words, { env: opensslEnvironment(engine) });
        const fingerprint = ['x509', '-in', certificateOf(kind), '-noout', '-sha256', '-fingerprint'];
        const printed = expectSuccess(await plain('openssl', fingerprint))
          .stdout.trim()
          .split('=')[1];
        expect(expectSuccess(ran).stdout).to.equal(`TLSv${version} ${printed}`);
      });
    }

    it(`stunnel serves with its key in the HSM, ${kind.name}`, async function () {
      needsClient(this, 'stunnel', 'stunnel4');
      const accept = await freePort();
      const lines = [
        'foreground = yes',
        'pid =',
        'engine = pkcs11',
        `engineCtrl = MODULE_PATH:${modulePath}`,
        `engineCtrl = PIN:${engine.pin}`,
        '[https]',
        `accept = 127.0.0.1:${accept}`,
        'exec = /bin/echo',
        'execArgs = echo served by stunnel',
        'engineId = pkcs11',
        `cert = ${certificateOf(kind)}`,
        `key = pkcs11:token=hsm1;object=${kind.label};type=private`,
      ];
      writeFileSync(path('stunnel.conf'), lines.join('\n'));
      const stunnel = new Server('stunnel', [path('stunnel.conf')], engine.env);
      try {
        await stunnel.says(/Configuration successful/g);
        const trust = [
          '-CAfile',
          certificateOf(kind),
          '-verify_return_error',
          '-verify_hostname',
          'localhost',
        ];
        const client = ['s_client', '-connect', `127.0.0.1:${accept}`, '-quiet', ...trust];
        expect(expectSuccess(await plain('openssl', client)).stdout).to.equal('served by stunnel\n');
      } finally {
        await stunnel.stop();
      }
    });
  }
});
