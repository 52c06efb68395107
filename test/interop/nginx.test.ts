import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { needsClient } from '../support/clients.js';
import { confFolder, type Ran, run, TestEngine } from '../support/engine.js';
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

const CONNECTIONS = 40;
const protocols = ['1.2', '1.3'];

/** The sample of conf/ after a user has edited it. */
function editedSample(engine: TestEngine, kind: KeyKind, port: number): string {
  const edits = [
    ['user developer;', `user ${userInfo().username};`],
    ['127.0.0.1:8443', `127.0.0.1:${port}`],
    ['pkcs11:token=hsm1;object=my-key;type=private?pin-value=crypto_user:password', keyUri(engine, kind)],
  ] as const;
  const [comment, settings] = readFileSync(join(confFolder, 'nginx.conf'), 'utf8').split(/^(?=daemon off;)/m);
  let edited = settings!;
  for (const [sample, value] of edits) {
    expect(edited.split(sample), `places in conf/nginx.conf that say ${sample}`).to.have.lengthOf(2);
    edited = edited.replace(sample, () => value);
  }
  return comment + edited;
}

/** nginx on the edited sample, in a folder of its own, with two workers. */
class Nginx {
  private constructor(
    private readonly folder: string,
    private readonly port: number,
    private readonly env: NodeJS.ProcessEnv,
    private readonly server: Server,
  ) {}

  static async start(engine: TestEngine, kind: KeyKind): Promise<Nginx> {
    const folder = mkdtempSync(join(tmpdir(), 'chl-nginx-'));
    const port = await freePort();
    const env = opensslEnvironment(engine);
    writeFileSync(join(folder, 'nginx.conf'), editedSample(engine, kind, port), { mode: 0o600 });
    await selfSign(engine, kind, join(folder, 'localhost.pem'));
    const server = new Server('nginx', ['-p', folder, '-c', 'nginx.conf'], env);
    return new Nginx(folder, port, env, server);
  }

  get running(): boolean {
    return this.server.running;
  }

  /** The process ids of the workers that started behind the position `from` of its log. */
  async workers(from = 0): Promise<string[]> {
    const outcome = /start worker process (\d+)|\[emerg\].*/g;
    const [first = ''] = await this.server.says(outcome, { from });
    if (!/^\d+$/.test(first)) throw new Error(`nginx started no workers:\n${this.server.output.slice(from)}`);
    return this.server.says(/start worker process (\d+)/g, { count: 2, from });
  }

  /** Has it read its configuration again, and waits until the new workers have replaced the old. */
  async reload(): Promise<string[]> {
    const from = this.server.output.length;
    const words = ['-p', this.folder, '-c', 'nginx.conf', '-s', 'reload'];
    expectSuccess(await run('nginx', words, { env: this.env }));
    const workers = await this.workers(from);
    await this.server.says(/worker process \d+ exited with code 0/g, { count: 2, from });
    return workers;
  }

  /** kill -9 of workers: nginx starts others in their place. */
  async replaceWorkers(workers: readonly string[]): Promise<string[]> {
    const from = this.server.output.length;
    for (const worker of workers) process.kill(Number(worker), 'SIGKILL');
    return this.workers(from);
  }

  /** Fetches over many connections at once, each with a handshake of its own. */
  fetch(version: string): Promise<Ran> {
    const many = ['--parallel', '--parallel-immediate', '--parallel-max', String(CONNECTIONS)];
    const anew = ['--no-sessionid', '--header', 'connection: close', '--max-time', '20'];
    const only = [`--tlsv${version}`, '--tls-max', version, '--cacert', join(this.folder, 'localhost.pem')];
    const address = `https://localhost:${this.port}/?[1-${CONNECTIONS}]`;
    return plain('curl', ['-sS', ...many, ...anew, ...only, address]);
  }

  async stop(): Promise<void> {
    await this.server.stop();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** Every connection was served, and each of the workers served some. */
function expectServedBy(workers: readonly string[], version: string, { stdout, stderr }: Ran): void {
  const lines = stdout.split('\n').filter((line) => line !== '');
  expect(lines, stderr).to.have.lengthOf(CONNECTIONS);
  const served = lines.map((line) => /^worker (\d+), TLSv(\S+), session reused: \.$/.exec(line));
  expect(new Set(served.map((match) => match?.[2]))).to.deep.equal(new Set([version]));
  expect(new Set(served.map((match) => match?.[1]))).to.deep.equal(new Set(workers));
}

describe('nginx with its key in the HSM', () => {
  let engine: TestEngine;

  before(async function () {
    needsClient(this, 'nginx', 'nginx-light');
    needsClient(this, 'pkcs11.so', 'libengine-pkcs11-openssl');
    needsClient(this, 'openssl', 'openssl');
    needsClient(this, 'pkcs11-tool', 'opensc');
    needsClient(this, 'curl', 'curl');
    engine = await TestEngine.start();
    for (const kind of keyKinds) await generateKeyPair(engine, kind);
  });

  after(() => engine?.stop());

  for (const kind of keyKinds) {
    describe(kind.name, () => {
      let nginx: Nginx;
      let workers: string[];

      beforeEach(async () => {
        nginx = await Nginx.start(engine, kind);
        workers = await nginx.workers();
      });

      afterEach(() => nginx?.stop());

      const expectService = async (): Promise<void> => {
        for (const version of protocols) expectServedBy(workers, version, await nginx.fetch(version));
      };

      const restartEngine = async (): Promise<void> => {
        await expectService();
        await engine.kill();
        await engine.restart();
      };

      for (const version of protocols) {
        it(`serves curl over TLS ${version} from both workers`, async () => {
          expectServedBy(workers, version, await nginx.fetch(version));
        });
      }

      it('serves from new workers after a reload, and after another', async () => {
        for (let round = 0; round < 2; round++) {
          await expectService();
          const before = workers;
          workers = await nginx.reload();
          expect(workers).to.not.have.any.members(before);
        }
        await expectService();
      });

      it('serves from the workers that it starts in place of killed ones', async () => {
        await expectService();
        workers = await nginx.replaceWorkers(workers);
        await expectService();
      });

      it('refuses connections without the engine, and neither hangs nor ends', async () => {
        await expectService();
        await engine.kill();
        try {
          for (const version of protocols) {
            const ran = await nginx.fetch(version);
            expect(ran.stdout).to.equal('');
            expect(ran.stderr).to.contain('alert internal error');
          }
          expect(nginx.running).to.equal(true);
        } finally {
          await engine.restart();
        }
      });

      // `nginx -s reload` is not enough: libp11 0.4.12 keeps the master's old session and never opens another one.
      it('serves again when the engine is back and nginx has replaced its workers', async () => {
        await restartEngine();
        workers = await nginx.replaceWorkers(workers);
        await expectService();
      });

      it('serves again when the engine is back and nginx was started again', async () => {
        await restartEngine();
        await nginx.stop();
        nginx = await Nginx.start(engine, kind);
        workers = await nginx.workers();
        await expectService();
      });
    });
  }
});
