import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { connectToHsm } from '../../src/cluster/tls-connection.js';
import { CKA } from '../../src/pkcs11/attributes.js';
import { CKM } from '../../src/pkcs11/mechanisms.js';
import { projectRoot } from '../support/engine.js';
import { until } from '../support/network.js';
import { SplitCluster } from '../support/split.js';

/** CLOUDHSM_LOCAL_CHAOS_SECONDS lengthens it, CLOUDHSM_LOCAL_CHAOS_SEED repeats the choices of a run. */
const SECONDS = Number(process.env['CLOUDHSM_LOCAL_CHAOS_SECONDS'] ?? 10);
const SEED = Number(process.env['CLOUDHSM_LOCAL_CHAOS_SEED'] ?? Math.floor(Math.random() * 1_000_000));
const WORKERS = 3;

interface Acknowledged {
  readonly label: string;
  readonly handle: number;
  readonly expected: string;
}

class Worker {
  readonly keys: Acknowledged[] = [];
  readonly complaints: string[] = [];
  calls = 0;
  readonly #child: ChildProcess;
  readonly begun: Promise<unknown>;

  constructor(split: SplitCluster, name: string) {
    const script = join(projectRoot, 'dist', 'test', 'support', 'split-worker.js');
    const child = spawn(process.execPath, [script, name], {
      env: split.env,
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    this.#child = child;
    const lines = createInterface({ input: child.stdout! });
    this.begun = Promise.race([
      once(lines, 'line'),
      once(child, 'exit').then(() => Promise.reject(new Error(`${name} ended before it had begun`))),
    ]);
    lines.on('line', (line) => {
      const said = JSON.parse(line);
      if ('label' in said) this.keys.push(said);
      else if ('calls' in said) this.calls = said.calls;
      else this.complaints.push(line);
    });
  }

  async end(): Promise<void> {
    const child = this.#child;
    if (child.exitCode !== null) return;
    const gone = once(child, 'close');
    child.stdin!.end();
    await gone;
  }
}

describe('HSMs in processes of their own', function () {
  this.timeout((SECONDS + 120) * 1000);
  let split: SplitCluster;

  before(async () => {
    split = await SplitCluster.start(3);
    // For a moment there is one HSM only: its keys are used all the same.
    await split.startClient({ keyAvailabilityCheck: false });
  });

  after(() => split.stop());

  /** What each HSM answers to somebody with this certificate. */
  const onEach = async <T>(
    identity: (id: string) => ReturnType<SplitCluster['identity']>,
    ask: (connection: Awaited<ReturnType<typeof connectToHsm>>) => Promise<T>,
  ): Promise<T[]> => {
    const { hsms } = (await split.ask('/status')).clusters[0];
    return Promise.all(
      hsms.map(async ({ id, eniIp, port }: { id: string; eniIp: string; port: number }) => {
        const connection = await connectToHsm({ endpoint: { host: eniIp, port }, identity: identity(id) });
        const answer = await ask(connection);
        connection.close();
        return answer;
      }),
    );
  };

  it('listen on ENI addresses of their own, on the documented ports, and say so', async () => {
    const { clusters } = await split.ask('/status');
    expect(clusters).to.have.length(1);
    const addresses = clusters[0].hsms.map(({ eniIp, port }: { eniIp: string; port: number }) => {
      expect(eniIp).to.match(/^127\.\d+\.\d+\.\d+$/);
      expect(port).to.equal(2223);
      return eniIp;
    });
    expect(new Set(addresses).size).to.equal(3);
    for (const id of split.ids) {
      const [{ hsms }] = (await split.ask('/status', id)).clusters;
      expect(hsms).to.have.length(1);
      expect(hsms[0]).to.include({ id, state: 'ACTIVE', users: hsms[0].users });
    }
    const { eniIp } = clusters[0].hsms[0];
    for (const port of [2223, 2224, 2225]) {
      const connection = await connectToHsm({
        endpoint: { host: eniIp, port },
        identity: split.identity('client'),
      });
      connection.close();
    }
  });

  it(`give no wrong answer and lose nothing while they are killed for ${SECONDS} s (seed ${SEED})`, async () => {
    let state = SEED | 1;
    const below = (bound: number): number => {
      state ^= state << 13;
      state ^= state >>> 17;
      state ^= state << 5;
      return (state >>> 0) % bound;
    };
    const workers = Array.from({ length: WORKERS }, (_, at) => new Worker(split, `w${at}`));
    await Promise.all(workers.map(({ begun }) => begun));
    /** HSMs that every client relies on: one of them must stay. */
    const reliedOn = async (): Promise<string[]> => {
      const { clients } = (await split.ask('/status')) as { clients: { hsms: string[] }[] };
      return split.ids.filter((id) => clients.every(({ hsms }) => hsms.includes(id)));
    };
    const end = Date.now() + SECONDS * 1000;
    let kills = 0;
    const away = new Set<string>();
    const back: Promise<void>[] = [];
    while (Date.now() < end) {
      const there = split.ids.filter((id) => !away.has(id));
      const doomed = there[below(there.length)]!;
      if ((await reliedOn()).some((id) => id !== doomed)) {
        away.add(doomed);
        await split.kill(doomed);
        kills++;
        const returning = sleep(below(700))
          .then(() => split.restart(doomed))
          .then(() => void away.delete(doomed));
        back.push(returning);
        // Now and then a second one goes while the first is away.
        if (below(3) > 0) await returning;
        else await sleep(below(200));
        if (below(2) === 0) await Promise.all(back);
      } else await sleep(50);
    }
    await Promise.all(back);
    await Promise.all(workers.map((worker) => worker.end()));
    expect(workers.flatMap(({ complaints }) => complaints)).to.deep.equal([]);
    expect(kills).to.be.greaterThan(1);
    for (const { calls } of workers) expect(calls).to.be.greaterThan(10);

    const login = { ...split.account, role: 'CU' } as const;
    const keys = workers.flatMap((worker) => worker.keys);
    const mechanism = { type: CKM.CKM_AES_ECB, parameter: undefined };
    await onEach(
      () => split.identity('client'),
      async (connection) => {
        await connection.send('synchronize', undefined);
        await connection.send('login', login);
        for (const { handle, label, expected } of keys) {
          const output = await connection.send('encrypt', { handle, mechanism, input: Buffer.alloc(16) });
          expect(output.toString('hex'), label).to.equal(expected);
          const [found] = await connection.send('getAttributes', { handle, types: [CKA.CKA_LABEL] });
          expect(String(found)).to.equal(label);
        }
      },
    );
    // Everything, handles, attributes, owners and shares, is the same.
    await until(async () => {
      const digests = await onEach(
        (id) => split.identity(id),
        async (peer) => (await peer.send('objectDigests', undefined)).toString('hex'),
      );
      return new Set(digests).size === 1;
    });
  });
});
