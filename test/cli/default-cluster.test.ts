import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  type Cluster,
  CreateHsmCommand,
  DeleteHsmCommand,
  DescribeBackupsCommand,
  ListTagsCommand,
  ModifyClusterCommand,
  TagResourceCommand,
} from '@aws-sdk/client-cloudhsm-v2';
import { expect } from 'chai';
import type { ConfigInput } from '../../src/base/config.js';
import { ApiOfHome, isWhole } from '../support/api-of-home.js';
import { binary, cloudhsmLocal, modulePath, projectRoot, run, TestEngine } from '../support/engine.js';

describe('the default cluster', () => {
  let engine: TestEngine;
  let api: ApiOfHome;

  before(async () => {
    engine = await TestEngine.start();
    api = new ApiOfHome(engine.home);
  });
  after(async () => {
    api.close();
    await engine.stop();
  });

  it('is one of the API: ACTIVE, with its certificate and both HSMs, of which there are backups', async () => {
    const clusters = await api.clusters();
    expect(clusters).to.have.length(1);
    const [cluster] = clusters;
    expect(cluster).to.include({ State: 'ACTIVE', HsmType: 'hsm2m.medium' });
    expect(cluster!.Certificates!.ClusterCertificate).to.contain('BEGIN CERTIFICATE');
    const { clusters: shown } = await api.status();
    const addresses = cluster!.Hsms!.map(({ HsmId: id, EniIp: eniIp }) => ({ id, eniIp }));
    expect(shown[0].id).to.equal(cluster!.ClusterId);
    expect(
      shown[0].hsms.map(({ id, eniIp }: { id: string; eniIp: string }) => ({ id, eniIp })),
    ).to.deep.equal(addresses);
    const { Backups } = await (await api.client()).send(new DescribeBackupsCommand({}));
    // At the activation, and when the second HSM came.
    expect(Backups!.map(({ ClusterId }) => ClusterId)).to.deep.equal([
      cluster!.ClusterId,
      cluster!.ClusterId,
    ]);
  });

  it('is signed by an authority of the home, whose client its HSMs let in', async () => {
    const [cluster] = await api.clusters();
    const verified = await run(
      'openssl',
      ['verify', '-CAfile', join(engine.home, 'certificates', 'customerCA.crt')],
      {
        input: cluster!.Certificates!.ClusterCertificate!,
      },
    );
    expect(verified.code, verified.stderr).to.equal(0);
    for (const { EniIp } of cluster!.Hsms!) expect(await api.keysAt(EniIp!)).to.deep.equal([]);
  });

  it('gets and loses HSMs while a program makes keys, and no key is lost', async () => {
    const writer = join(projectRoot, 'dist', 'test', 'support', 'key-writer.js');
    const env = { ...engine.env, PKCS11_MODULE_PATH: modulePath };
    const program = spawn(process.execPath, [writer, 'key'], { env, stdio: ['ignore', 'pipe', 'inherit'] });
    let labels = 0;
    program.stdout.on('data', (text: Buffer) => {
      labels += text.toString().split('\n').length - 1;
    });
    const ended = once(program, 'close');
    const more = async (): Promise<void> => {
      for (const enough = labels + 5; labels < enough; ) {
        await Promise.race([once(program.stdout, 'data'), ended]);
        if (program.exitCode !== null) throw new Error('the program could not make a key');
      }
    };
    await more();
    const client = await api.client();
    const [{ ClusterId, Hsms: before, SubnetMapping }] = (await api.clusters()) as [Cluster];
    const [AvailabilityZone] = Object.keys(SubnetMapping!);
    await client.send(new CreateHsmCommand({ ClusterId, AvailabilityZone }));
    await api.until((cluster) => cluster.Hsms!.length === 3 && isWhole(cluster));
    // A program relies on an HSM when it has logged in there: before, a new key could be on one HSM only.
    while ((await api.status()).clients[0].hsms.length < 3) await more();
    await more();
    await client.send(new DeleteHsmCommand({ ClusterId, HsmId: before![0]!.HsmId }));
    const { Hsms: after } = await api.until((cluster) => cluster.Hsms!.length === 2);
    await more();
    program.kill('SIGKILL');
    await ended;
    // What the one that came missed, it gets from the others within ten seconds.
    for (const { EniIp } of after!)
      while ((await api.keysAt(EniIp!)).length < labels)
        await new Promise((resolve) => setTimeout(resolve, 200));
    // Who reads the home knows of them.
    const file = JSON.parse(api.file('cluster.json'));
    expect(file.hsms.map(({ id }: { id: string }) => id)).to.deep.equal(after!.map(({ HsmId }) => HsmId));
    expect(file.version).to.be.at.least(3);
  });

  it('has no HSM in a process of its own', async () => {
    const refuses = async (...commands: readonly (readonly string[])[]): Promise<void> => {
      for (const words of commands) {
        const { code, stderr } = await cloudhsmLocal([...words, '--home', engine.home]);
        expect([code, stderr.includes('the API has the cluster')], stderr).to.deep.equal([6, true]);
      }
    };
    await refuses(['hsm', '1'], ['add-hsm']);
    await engine.kill();
    await refuses(['hsm', '1'], ['add-hsm'], ['init']);
    await engine.restart();
  });

  it('is tagged and modified as others are, and is as it was after kill -9', async () => {
    const client = await api.client();
    const [{ ClusterId }] = (await api.clusters()) as [Cluster];
    const TagList = [{ Key: 'stage', Value: 'test' }];
    await client.send(new TagResourceCommand({ ResourceId: ClusterId, TagList }));
    const BackupRetentionPolicy = { Type: 'DAYS', Value: '7' } as const;
    await client.send(new ModifyClusterCommand({ ClusterId, BackupRetentionPolicy }));
    const [before] = await api.clusters();
    const keys = await api.keysAt(before!.Hsms![0]!.EniIp!);
    await engine.kill();
    await engine.restart();
    expect(await api.clusters()).to.deep.equal([before]);
    const { TagList: listed } = await client.send(new ListTagsCommand({ ResourceId: ClusterId }));
    expect(listed).to.deep.equal(TagList);
    expect(await api.keysAt(before!.Hsms![0]!.EniIp!)).to.deep.equal(keys);
  });
});

describe('the first start of a home', () => {
  let home: string;
  let api: ApiOfHome;

  beforeEach(() => {
    home = mkdtempSync(join(tmpdir(), 'chl-'));
    api = new ApiOfHome(home);
  });
  afterEach(async () => {
    api.close();
    await cloudhsmLocal(['down', '--home', home]);
    rmSync(home, { recursive: true, force: true });
  });

  const up = (settings: ConfigInput = {}) => {
    const file = join(home, 'settings.json');
    writeFileSync(file, JSON.stringify(settings));
    return cloudhsmLocal(['up', '--home', home, '--detach', '--config', file]);
  };
  const filesIn = (folder: string): string[] =>
    existsSync(join(home, folder)) ? readdirSync(join(home, folder)) : [];
  const holds = (name: string): boolean => existsSync(join(home, name));

  /** What shows how far it has come, in this order. */
  const points: Readonly<Record<string, () => boolean>> = {
    'has decided what to make': () => holds('control-plane/default-cluster.json'),
    'knows the cluster': () => api.file('control-plane/default-cluster.json').includes('"clusterId"'),
    'makes the first HSM': () => filesIn('hsms').length === 1,
    'has an authority': () => holds('certificates/customerCA.crt'),
    'has initialised the cluster': () => holds('cluster.json'),
    'has decided on passwords': () => holds('credentials.json'),
    'backs the first HSM up': () => holds('backups'),
    'makes the second HSM': () => filesIn('hsms').length === 2,
  };

  for (const [point, isReached] of Object.entries(points))
    it(`is completed by the next one when kill -9 comes as it ${point}`, async () => {
      const first = spawn(process.execPath, [binary, 'up', '--home', home], { stdio: 'ignore' });
      const reached = (): boolean => {
        try {
          return isReached();
        } catch {
          return false;
        }
      };
      while (!reached() && first.exitCode === null) await new Promise((resolve) => setTimeout(resolve, 1));
      first.kill('SIGKILL');
      await once(first, 'close');
      const { code, stderr } = await up();
      expect(code, stderr).to.equal(0);
      const clusters = await api.clusters();
      expect(clusters).to.have.length(1);
      expect(isWhole(clusters[0]!)).to.equal(true);
      expect(clusters[0]!.Hsms).to.have.length(2);
      for (const { EniIp } of clusters[0]!.Hsms!) expect(await api.keysAt(EniIp!)).to.deep.equal([]);
      const { clusters: shown } = await api.status();
      expect(shown).to.have.length(1);
      for (const { users } of shown[0].hsms) expect(users).to.equal(3);
    });

  it('leaves the activation to the owner when told so, with one HSM', async () => {
    const several = await up({ activated: false, hsms: 2 });
    expect([several.code, several.stderr]).to.satisfy(
      ([code, text]: [number, string]) => code === 6 && text.includes('create the others'),
    );
    const { code, stderr } = await up({ activated: false });
    expect(code, stderr).to.equal(0);
    const [cluster] = await api.clusters();
    expect(cluster!.State).to.equal('INITIALIZED');
    expect(cluster!.Hsms).to.have.length(1);
    expect(holds('credentials.json')).to.equal(false);
    await cloudhsmLocal(['down', '--home', home]);
    expect((await up({ activated: false })).code).to.equal(0);
    expect(await api.clusters()).to.deep.equal([cluster]);
  });

  it('says what the API refuses, and may be told otherwise', async () => {
    const refused = await up({ hsmType: 'hsm1.medium', controlPlane: { offerHsm1: false } });
    expect(refused.code).to.equal(6);
    expect(refused.stderr).to.contain('the default cluster could not be made');
    const { code, stderr } = await up({ hsms: 1 });
    expect(code, stderr).to.equal(0);
    expect((await api.clusters())[0]).to.include({ State: 'ACTIVE', HsmType: 'hsm2m.medium' });
  });

  it('says why no backup can be kept, and goes on when it can', async () => {
    writeFileSync(join(home, 'backups'), 'no folder');
    const failed = await up();
    expect(failed.code).to.equal(5);
    expect(failed.stderr).to.contain('the default cluster could not be made');
    rmSync(join(home, 'backups'));
    const { code, stderr } = await up();
    expect(code, stderr).to.equal(0);
    expect(isWhole((await api.clusters())[0]!)).to.equal(true);
  });

  it('takes no longer when states last as long as on AWS', async () => {
    const { code, stderr } = await up({ controlPlane: { awsTiming: true } });
    expect(code, stderr).to.equal(0);
    expect(isWhole((await api.clusters())[0]!)).to.equal(true);
  });

  it('makes as many HSMs as asked for, more than an account has by itself', async () => {
    const { code, stderr } = await up({ hsms: 8, controlPlane: { enabled: false } });
    expect(code, stderr).to.equal(0);
    const { endpoint, clusters } = await api.status();
    expect(endpoint).to.equal(undefined);
    expect(clusters[0].hsms.map(({ state }: { state: string }) => state)).to.deep.equal(
      Array(8).fill('ACTIVE'),
    );
  });
});

describe('a home of an earlier version', () => {
  it('keeps its cluster, beside which the API has others', async () => {
    const home = mkdtempSync(join(tmpdir(), 'chl-'));
    // `init` makes what every first start has made.
    const made = await cloudhsmLocal(['init', '--home', home]);
    expect(made.code, made.stderr).to.equal(0);
    const engine = await TestEngine.start([], home);
    const label = ['--login', '--pin', engine.pin, '--keygen', '--key-type', 'AES:32', '--label', 'kept'];
    const api = new ApiOfHome(home);
    const { clusters } = await api.status();
    const names = ({ id, hsms }: { id: string; hsms: { id: string; eniIp: string }[] }) => [
      id,
      hsms.map((hsm) => [hsm.id, hsm.eniIp]),
    ];
    const key = await engine.run('pkcs11-tool', ['--module', modulePath, ...label]);
    const expected = key.code === 0 ? 1 : 0;
    for (const { eniIp } of clusters[0].hsms) expect(await api.keysAt(eniIp)).to.have.length(expected);
    expect(await api.clusters()).to.deep.equal([]);
    await engine.kill();
    await engine.restart();
    const { clusters: again } = await api.status();
    expect(again.map(names)).to.deep.equal(clusters.map(names));
    for (const { eniIp } of again[0].hsms) expect(await api.keysAt(eniIp)).to.have.length(expected);
    api.close();
    await engine.stop();
  });

  it('brings HSMs of the API with it', async () => {
    const engine = await TestEngine.start(['--hsms', '1']);
    const api = new ApiOfHome(engine.home);
    const before = await api.clusters();
    await engine.kill();
    mkdirSync(join(engine.home, 'control-plane', 'hsms'));
    for (const id of readdirSync(join(engine.home, 'hsms')))
      renameSync(join(engine.home, 'hsms', id), join(engine.home, 'control-plane', 'hsms', id));
    await engine.restart();
    expect(await api.clusters()).to.deep.equal(before);
    expect(await api.keysAt(before[0]!.Hsms![0]!.EniIp!)).to.deep.equal([]);
    api.close();
    await engine.stop();
  });
});
