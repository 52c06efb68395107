import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { needsClient } from '../support/clients.js';
import { modulePath, TestEngine } from '../support/engine.js';
import {
  expectSuccess,
  fromEngine,
  generateKeyPair,
  hsmOpenssl,
  type KeyKind,
  keyKinds,
  keyUri,
  plain,
} from './support/openssl.js';

const SECTION_BYTES = 512;

/** The smallest program for Windows that can be signed: one section, which only returns. */
function windowsProgram(): Buffer {
  const file = Buffer.alloc(2 * SECTION_BYTES);
  const put16 = (at: number, ...values: number[]) =>
    values.forEach((value, index) => void file.writeUInt16LE(value, at + 2 * index));
  const put32 = (at: number, ...values: number[]) =>
    values.forEach((value, index) => void file.writeUInt32LE(value, at + 4 * index));
  const [coff, optional, section] = [68, 88, 312];
  file.write('MZ');
  put32(60, 64);
  file.write('PE', 64);
  put16(coff, 0x14c, 1);
  put16(coff + 16, section - optional, 0x102);
  put16(optional, 0x10b);
  put32(optional + 4, SECTION_BYTES, 0, 0, 0x1000, 0x1000, 0x2000, 0x40_0000, 0x1000, SECTION_BYTES);
  put16(optional + 40, 4, 0, 0, 0, 4);
  put32(optional + 56, 0x2000, SECTION_BYTES);
  put16(optional + 68, 3);
  put32(optional + 72, 0x10_0000, 0x1000, 0x10_0000, 0x1000, 0, 16);
  file.write('.text', section);
  put32(section + 8, 1, 0x1000, SECTION_BYTES, SECTION_BYTES);
  put32(section + 36, 0x6000_0020);
  file.writeUInt8(0xc3, SECTION_BYTES);
  return file;
}

describe('osslsigncode', function () {
  this.timeout(60_000);

  let engine: TestEngine;
  let folder: string;

  const path = (name: string): string => join(folder, name);

  before(async function () {
    needsClient(this, 'osslsigncode', 'osslsigncode');
    needsClient(this, 'pkcs11.so', 'libengine-pkcs11-openssl');
    needsClient(this, 'pkcs11-tool', 'opensc');
    folder = mkdtempSync(join(tmpdir(), 'chl-signcode-'));
    writeFileSync(path('program.exe'), windowsProgram());
    engine = await TestEngine.start();
  });

  after(async () => {
    await engine?.stop();
    if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
  });

  async function certify(kind: KeyKind): Promise<void> {
    const subject = ['-subj', `/CN=${kind.name}`, '-addext', 'extendedKeyUsage=codeSigning', '-days', '2'];
    const words = ['req', '-new', '-x509', '-sha256', ...subject, '-out', path('certificate')];
    expectSuccess(await hsmOpenssl(engine, [...words, ...fromEngine, '-key', keyUri(engine, kind)]));
  }

  for (const kind of keyKinds.slice(0, 2)) {
    it(`signs a program with an HSM key, ${kind.name}, and verifies it without the HSM`, async () => {
      await generateKeyPair(engine, kind);
      await certify(kind);
      const key = ['-key', `pkcs11:token=hsm1;object=${kind.label};type=private`, '-pass', engine.pin];
      const files = ['-in', path('program.exe'), '-out', path(`${kind.label}.exe`)];
      const how = ['-pkcs11module', modulePath, '-certs', path('certificate'), ...key, '-h', 'sha256'];
      expectSuccess(await engine.run('osslsigncode', ['sign', ...how, ...files]));

      const trust = ['-CAfile', path('certificate')];
      const verified = await plain('osslsigncode', ['verify', ...trust, '-in', path(`${kind.label}.exe`)]);
      expect(expectSuccess(verified).stdout).to.contain('Number of verified signatures: 1');
      const unsigned = await plain('osslsigncode', ['verify', ...trust, '-in', path('program.exe')]);
      expect(unsigned.stdout).not.to.contain('Number of verified signatures: 1');
    });
  }
});
