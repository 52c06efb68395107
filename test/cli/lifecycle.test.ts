import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { binary, cloudhsmLocal, modulePath, type Ran, run, TestEngine } from '../support/engine.js';

const newFolder = (): string => mkdtempSync(join(tmpdir(), 'chl-'));

function filesBelow(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' }).map((name) => join(folder, name));
}

const statusOf = async (home: string) =>
  JSON.parse((await cloudhsmLocal(['status', '--home', home, '--json'])).stdout);

/** An engine that none of these tests ends or changes. */
describe('cloudhsm-local, started on a new home', () => {
  let home: string;
  let started: Ran;

  before(async () => {
    home = newFolder();
    started = await cloudhsmLocal(['up', '--home', home, '--detach']);
  });

  after(async () => {
    await cloudhsmLocal(['down', '--home', home]);
    rmSync(home, { recursive: true, force: true });
  });

  const status = () => statusOf(home);

  it('starts the default cluster: 2 × hsm2m.medium, FIPS, a CO and a CU', async () => {
    expect(started.code, started.stderr).to.equal(0);
    const { pid, profile, clusters, clients } = await status();
    expect(pid).to.be.a('number');
    expect(profile).to.equal('compatible');
    expect(clients).to.deep.equal([]);
    expect(clusters).to.have.length(1);
    expect(clusters[0]).to.include({ state: 'ACTIVE', hsmType: 'hsm2m.medium', mode: 'FIPS' });
    expect(clusters[0].id).to.match(/^cluster-[a-z2-7]{11}$/);
    expect(clusters[0].hsms).to.have.length(2);
    for (const hsm of clusters[0].hsms) {
      expect(hsm.id).to.match(/^hsm-[a-z2-7]{11}$/);
      expect(hsm).to.include({ state: 'ACTIVE', users: 3, tokenKeys: 0 });
    }
  });

  it('says how to connect, and never the password', async () => {
    const { stdout } = started;
    for (const word of ['OpenSSL', 'nginx', 'Java', 'Node', modulePath]) expect(stdout).to.contain(word);
    const { admin, cryptoUser } = JSON.parse(readFileSync(join(home, 'credentials.json'), 'utf8'));
    for (const { password } of [admin, cryptoUser]) expect(stdout).not.to.contain(password);
  });

  it('gives a shell what programs need', async () => {
    const script =
      'eval "$("$0" "$1" env --home "$2")"; printf "%s\\n" "$CLOUDHSM_LOCAL_HOME" "$PKCS11_MODULE_PATH" "$CLOUDHSM_PIN"';
    const { stdout } = await run('sh', ['-c', script, process.execPath, binary, home]);
    const { name, password } = JSON.parse(readFileSync(join(home, 'credentials.json'), 'utf8')).cryptoUser;
    expect(stdout.trim().split('\n')).to.deep.equal([home, modulePath, `${name}:${password}`]);
  });

  it('keeps every file to its owner', async () => {
    for (const path of filesBelow(home)) {
      expect(statSync(path).mode & 0o077, path).to.equal(0);
    }
  });

  it('refuses a second engine on the same home, and says which runs', async () => {
    const { pid } = await status();
    for (const options of [[], ['--detach']]) {
      const second = await cloudhsmLocal(['up', '--home', home, ...options]);
      expect(second.code).to.equal(3);
      expect(second.stderr).to.contain('already runs').and.to.contain(String(pid));
    }
    expect((await status()).pid).to.equal(pid);
  });

  it('runs two homes side by side', async () => {
    const other = await TestEngine.start(['--hsms', '1']);
    const [{ stdout }, mine] = [
      await cloudhsmLocal(['status', '--home', other.home, '--json']),
      await status(),
    ];
    expect(JSON.parse(stdout).clusters[0].id).not.to.equal(mine.clusters[0].id);
    await other.stop();
    expect((await status()).pid).to.equal(mine.pid);
  });
});

describe('cloudhsm-local', () => {
  let home: string;

  beforeEach(() => {
    home = newFolder();
  });

  afterEach(async () => {
    await cloudhsmLocal(['down', '--home', home]);
    rmSync(home, { recursive: true, force: true });
  });

  const up = (...options: string[]) => cloudhsmLocal(['up', '--home', home, '--detach', ...options]);
  const status = () => statusOf(home);

  it('stores passwords only as scrypt hashes, and nothing that can be searched for', async () => {
    await up();
    const { admin, cryptoUser } = JSON.parse(readFileSync(join(home, 'credentials.json'), 'utf8'));
    await cloudhsmLocal(['down', '--home', home]);
    const stored = filesBelow(join(home, 'hsms'))
      .filter((path) => statSync(path).isFile())
      .map((path) => readFileSync(path).toString('latin1'))
      .join('');
    for (const secret of [admin.password, cryptoUser.password, 'crypto_user"', 'scrypt']) {
      expect(stored).not.to.contain(secret);
    }
  });

  it('starts again after kill -9, over the socket and lock that are left', async () => {
    await up();
    const { pid, clusters } = await status();
    process.kill(pid, 'SIGKILL');
    expect(existsSync(join(home, 'run', 'engine.sock'))).to.equal(true);
    const again = await up();
    expect(again.code, again.stderr).to.equal(0);
    expect((await status()).clusters[0].id).to.equal(clusters[0].id);
  });

  it('ends with down, keeps the home, and says so when there is nothing to end', async () => {
    await up();
    const { clusters } = await status();
    expect((await cloudhsmLocal(['down', '--home', home])).code).to.equal(0);
    expect(existsSync(join(home, 'run', 'engine.sock'))).to.equal(false);
    const nothing = await cloudhsmLocal(['down', '--home', home]);
    expect(nothing.code).to.equal(4);
    expect(nothing.stderr).to.contain('no engine runs').and.to.contain('cloudhsm-local up');
    expect((await cloudhsmLocal(['status', '--home', home])).code).to.equal(4);
    await up();
    expect((await status()).clusters[0].id).to.equal(clusters[0].id);
  });

  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    it(`ends cleanly with ${signal}`, async () => {
      const engine = spawn(process.execPath, [binary, 'up', '--home', home], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      await once(engine.stdout, 'data');
      engine.kill(signal);
      const [code] = await once(engine, 'exit');
      expect(code).to.equal(0);
      expect(existsSync(join(home, 'run', 'engine.sock'))).to.equal(false);
    });
  }

  it('forgets its home on reset, and only a home', async () => {
    await up();
    expect((await cloudhsmLocal(['reset', '--home', home])).code).to.equal(0);
    expect(existsSync(home)).to.equal(false);
    const strange = newFolder();
    mkdirSync(join(strange, 'run'));
    writeFileSync(join(strange, 'thesis.tex'), 'years of work');
    const refused = await cloudhsmLocal(['reset', '--home', strange]);
    expect(refused.code).to.equal(6);
    expect(refused.stderr).to.contain('thesis.tex');
    expect(existsSync(join(strange, 'thesis.tex'))).to.equal(true);
    rmSync(strange, { recursive: true });
  });

  it('makes as many HSMs as asked for, and refuses another number later', async () => {
    await up('--hsms', '3');
    expect((await status()).clusters[0].hsms).to.have.length(3);
    await cloudhsmLocal(['down', '--home', home]);
    const other = await up('--hsms', '2');
    expect(other.code).to.equal(6);
    expect(other.stderr).to.contain('made with hsms 3');
  });

  it('reads its settings from a file, and the command line goes above it', async () => {
    const file = join(home, '..', `${Date.now()}.json`);
    writeFileSync(file, JSON.stringify({ hsms: 1, mode: 'NON_FIPS', profile: 'strict' }));
    await up('--config', file, '--profile', 'compatible');
    const { profile, clusters } = await status();
    expect([profile, clusters[0].mode, clusters[0].hsms.length]).to.deep.equal(['compatible', 'NON_FIPS', 1]);
    rmSync(file);
  });

  for (const [what, contents, text] of [
    ['a setting it does not know', '{"hsm": 2}', 'hsm'],
    ['a value out of bounds', '{"hsms": 29}', 'hsms'],
    ['no JSON', 'hsms: 2', 'not JSON'],
  ] as const) {
    it(`refuses a configuration with ${what}, naming it`, async () => {
      const file = join(home, 'settings.json');
      writeFileSync(file, contents);
      const refused = await up('--config', file);
      expect(refused.code).to.equal(6);
      expect(refused.stderr).to.contain(text);
      rmSync(file);
    });
  }

  it('refuses a home whose socket path is too long, and says how to mend it', async () => {
    const long = join(home, 'x'.repeat(100));
    const refused = await cloudhsmLocal(['up', '--home', long, '--detach']);
    expect(refused.code).to.equal(6);
    expect(refused.stderr).to.contain('shorter --home');
  });

  it('keeps the HSMs when a file is lost without which they cannot run, and says which one', async () => {
    await up();
    await cloudhsmLocal(['down', '--home', home]);
    const sealingKeys = readdirSync(join(home, 'hsms')).map((hsm) => join(home, 'hsms', hsm, 'sealing.key'));
    // One HSM that lacks its own is replaced, with what the others have.
    for (const lost of [[join(home, 'control-plane', 'default-cluster.json')], sealingKeys]) {
      for (const [at, file] of lost.entries()) renameSync(file, `${home}.lost.${at}`);
      const refused = await up();
      expect(refused.code).to.equal(7);
      expect(lost.some((file) => refused.stderr.includes(file))).to.equal(true);
      for (const [at, file] of lost.entries()) renameSync(`${home}.lost.${at}`, file);
    }
    // The catalogue has what this one says.
    rmSync(join(home, 'cluster.json'));
    expect((await up()).code).to.equal(0);
    expect(existsSync(join(home, 'cluster.json'))).to.equal(true);
  });

  it('makes no other cluster where HSMs are and nothing says whose', async () => {
    expect((await cloudhsmLocal(['init', '--home', home])).code).to.equal(0);
    rmSync(join(home, 'cluster.json'));
    const refused = await up();
    expect(refused.code).to.equal(7);
    expect(refused.stderr).to.contain('cluster.json');
  });

  it('refuses damaged files instead of starting over', async () => {
    await up();
    await cloudhsmLocal(['down', '--home', home]);
    writeFileSync(join(home, 'cluster.json'), '{');
    const refused = await up();
    expect(refused.code).to.equal(6);
    expect(refused.stderr).to.contain('cluster.json');
  });
});
