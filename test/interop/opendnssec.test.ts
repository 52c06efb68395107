import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { needsClient } from '../support/clients.js';
import { modulePath, type Ran, TestEngine } from '../support/engine.js';

/** Keys that OpenDNSSEC makes, and what it calls them. */
const keys = [
  { type: 'rsa', size: '2048', listed: 'RSA/2048' },
  { type: 'ecdsa', size: '256', listed: 'ECDSA/256' },
  { type: 'ecdsa', size: '384', listed: 'ECDSA/384' },
] as const;

const SIGNATURES = 100;
const THREADS = 4;

describe('OpenDNSSEC', function () {
  this.timeout(120_000);

  let engine: TestEngine;
  let folder: string;

  const hsm = (command: 'ods-hsmutil' | 'ods-hsmspeed', ...words: readonly string[]): Promise<Ran> =>
    engine.run(command, ['-c', join(folder, 'conf.xml'), ...words]);

  before(async function () {
    needsClient(this, 'ods-hsmutil', 'libhsm-bin');
    folder = mkdtempSync(join(tmpdir(), 'chl-dnssec-'));
    engine = await TestEngine.start();
    const repository = `<Module>${modulePath}</Module><TokenLabel>hsm1</TokenLabel><PIN>${engine.pin}</PIN>`;
    const other = `<Common><Logging/><PolicyFile/><ZoneListFile/></Common><Enforcer><Datastore><SQLite/></Datastore></Enforcer>`;
    writeFileSync(
      join(folder, 'conf.xml'),
      `<Configuration><RepositoryList><Repository name="CloudHSM">${repository}</Repository></RepositoryList>${other}</Configuration>`,
      { mode: 0o600 },
    );
  });

  after(async () => {
    await engine?.stop();
    if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
  });

  it('makes keys, lists and removes them', async () => {
    const ids: string[] = [];
    for (const { type, size } of keys) {
      const { stdout } = await hsm('ods-hsmutil', 'generate', 'CloudHSM', type, size);
      ids.push(/successful: ([0-9a-f]{32})/.exec(stdout)?.[1] ?? stdout);
    }
    const listed = async (): Promise<string[]> => {
      const { stdout } = await hsm('ods-hsmutil', 'list');
      return [...stdout.matchAll(/^CloudHSM +([0-9a-f]{32}) +(\S+)/gm)].map(
        ([, id, type]) => `${id} ${type}`,
      );
    };
    expect((await listed()).sort()).to.deep.equal(
      keys.map(({ listed: as }, at) => `${ids[at]} ${as}`).sort(),
    );
    for (const id of ids) expect((await hsm('ods-hsmutil', 'remove', id)).code).to.equal(0);
    expect(await listed()).to.deep.equal([]);
  });

  it('signs with what CloudHSM has, and is refused what it has not', async () => {
    const { stdout } = await hsm('ods-hsmutil', 'test', 'CloudHSM');
    // RSA of less than 2,048 bits, DSA, GOST and Ed448 are not CloudHSM's; Ed25519 only of clusters that are not in FIPS mode.
    for (const [, key, made] of stdout.matchAll(/^Generating (.*?) key\.\.\. (OK|Failed)/gm)) {
      const exists = /^(2048|4096)-bit RSA$|P-(256|384)$/.test(key!);
      expect(made, key).to.equal(exists ? 'OK' : 'Failed');
    }
    expect([...stdout.matchAll(/^Signing \(RSA\/\w+\) with key\.\.\. OK/gm)]).to.have.length(6);
    expect([...stdout.matchAll(/^Generating .*random data\.\.\. /gm)]).to.have.length(3);
  });

  it(`makes ${THREADS * SIGNATURES} signatures in ${THREADS} threads`, async () => {
    const words = ['-r', 'CloudHSM', '-i', String(SIGNATURES), '-s', '2048', '-t', String(THREADS)];
    const { stdout, stderr } = await hsm('ods-hsmspeed', ...words);
    expect(stdout + stderr).to.match(
      new RegExp(`^${THREADS} threads, ${SIGNATURES} signatures per thread`, 'm'),
    );
  });
});
