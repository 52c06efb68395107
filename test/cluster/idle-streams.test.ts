import { type AddressInfo, connect as connectTcp, createServer, type Server, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect as connectTls } from 'node:tls';
import { expect } from 'chai';
import { silentLog } from '../../src/base/log.js';
import type { ClusterClient } from '../../src/cluster/cluster-client.js';
import { connectToHsm } from '../../src/cluster/connect-to-hsm.js';
import { IdleStreams } from '../../src/cluster/idle-streams.js';
import { RemoteCluster } from '../../src/cluster/remote-cluster.js';
import type { HsmEndpoint } from '../../src/cluster/tls-connection.js';
import type { Hsm } from '../../src/hsm/hsm.js';
import type { CountsBytes } from '../../src/hsm/traffic.js';
import { CKA } from '../../src/pkcs11/attributes.js';
import { CKC, CKO } from '../../src/pkcs11/constants.js';
import { CKM } from '../../src/pkcs11/mechanisms.js';
import { attribute } from '../../src/pkcs11/template.js';
import { codeOf } from '../support/codes.js';
import { PASSWORD } from '../support/in-process.js';
import { NetworkCluster, until } from '../support/network.js';
import { flags, genericKey, mechanism, template } from '../support/program.js';
import { TestAuthority } from '../support/tls.js';

/** Longer than any certificate of a test is valid. */
const CENTURY_MS = 100 * 366 * 86_400_000;

/** What leads to an HSM, and can cut off those who have come without a word to either end. */
class Wire {
  readonly #ends: Socket[] = [];
  connections = 0;

  private constructor(
    private readonly server: Server,
    readonly endpoint: HsmEndpoint,
  ) {}

  static async to(port: number): Promise<Wire> {
    const server = createServer((near) => {
      const far = connectTcp({ host: '127.0.0.1', port });
      near.pipe(far).pipe(near);
      wire.connections++;
      wire.#ends.push(near, far);
      for (const end of [near, far]) end.on('error', () => undefined);
    });
    await new Promise<void>((resolve) => server.listen({ host: '127.0.0.1', port: 0 }, resolve));
    const wire = new Wire(server, { host: '127.0.0.1', port: (server.address() as AddressInfo).port });
    return wire;
  }

  silence(): void {
    for (const end of this.#ends) end.unpipe().pause();
  }

  close(): void {
    this.server.close();
    for (const end of this.#ends) end.destroy();
  }
}

const HMAC = mechanism('CKM_SHA256_HMAC');
const input = Buffer.from('what is to be authenticated');

describe('a connection to an HSM that an application has left', () => {
  let network: NetworkCluster;
  let remote: RemoteCluster;
  let hsm: Hsm;
  /** All connections that the HSM has had: the first is that by which the client learns of the cluster. */
  let seen: Set<CountsBytes>;

  beforeEach(async () => {
    network = await NetworkCluster.start({ hsms: 1 });
    hsm = network.cluster.hsms[0]!;
    seen = new Set();
    const add = hsm.traffic.add.bind(hsm.traffic);
    hsm.traffic.add = (connection) => {
      seen.add(connection);
      add(connection);
    };
    remote = await network.open();
  });
  afterEach(() => network.close());

  async function begin(user?: string): Promise<ClusterClient> {
    const client = remote.connect({ keyAvailability: 'off', patienceMs: 500 });
    await until(() => client.up.length === 1);
    if (user !== undefined) await client.login(user, PASSWORD);
    return client;
  }
  /** Resolves when the HSM has nothing of it any more. */
  async function end(client: ClusterClient): Promise<void> {
    client.close();
    await until(() => sessions() === 0);
  }
  /** Of applications: the client's own connection only watches. */
  const sessions = (): number => hsm.openSessions - 1;
  const connections = (): number => hsm.traffic.connections;

  const newKey = (client: ClusterClient, token: boolean): Promise<number> =>
    Promise.resolve(
      client.createObject(
        template({
          ...genericKey,
          CKA_VALUE: Buffer.alloc(32, 7),
          CKA_TOKEN: token,
          CKA_LABEL: Buffer.from('mine'),
          ...flags('CKA_SIGN', 'CKA_VERIFY'),
        }),
      ),
    );
  const sign = (client: ClusterClient, handle: number) =>
    client.send('sign', { handle, mechanism: HMAC, input: Buffer.from(input) });
  const read = (client: ClusterClient, handle: number) =>
    client.send('getAttributes', { handle, types: [CKA.CKA_LABEL] }, 'C_GetAttributeValue');

  it('is the next one’s, which need not shake hands', async () => {
    for (let times = 0; times < 5; times++) {
      const client = await begin('crypto_user');
      expect(await client.send('generateRandom', { lengthBytes: 8 })).to.have.length(8);
      await end(client);
      expect(connections()).to.equal(2);
    }
    expect(seen.size).to.equal(2);
  });

  it('has nothing of it left: no login, no session keys, no answers that were given again and again', async () => {
    const first = await begin('crypto_user');
    const token = await newKey(first, true);
    const session = await newKey(first, false);
    for (let times = 0; times < 5; times++) {
      for (const handle of [token, session]) {
        await sign(first, handle);
        await read(first, handle);
      }
    }
    await end(first);

    const second = await begin();
    for (const handle of [token, session]) {
      expect(await codeOf(() => sign(second, handle))).to.equal('CKR_USER_NOT_LOGGED_IN');
      expect(await codeOf(() => read(second, handle))).to.equal('CKR_USER_NOT_LOGGED_IN');
    }
    await second.login('other_user', PASSWORD);
    for (const handle of [token, session]) {
      expect(await codeOf(() => sign(second, handle))).to.equal('CKR_KEY_HANDLE_INVALID');
      expect(await codeOf(() => read(second, handle))).to.equal('CKR_OBJECT_HANDLE_INVALID');
    }
    expect(seen.size).to.equal(2);
    await end(second);
  });

  it('is asked for nothing by who had it before', async () => {
    const first = await begin('crypto_user');
    const template = [attribute(CKA.CKA_VALUE_LEN, 32)];
    const key = await first.generateKey(CKM.CKM_AES_KEY_GEN, template);
    await end(first);
    const second = await begin('crypto_user');
    const before = hsm.commandCounts();
    expect(await codeOf(() => first.send('generateRandom', { lengthBytes: 8 }))).to.match(/^CKR_/);
    expect(await codeOf(() => first.destroyObject(key))).to.match(/^CKR_/);
    expect(hsm.commandCounts()).to.deep.equal(before);
    await end(second);
  });

  it('is under the switches of the application that has it', async () => {
    const certificate = template({
      CKA_CLASS: CKO.CKO_CERTIFICATE,
      CKA_CERTIFICATE_TYPE: CKC.CKC_X_509,
      CKA_TOKEN: true,
      CKA_SUBJECT: Buffer.from('subject'),
      CKA_VALUE: Buffer.from('certificate'),
    });
    const stored = async (certificateStorage: boolean): Promise<string> => {
      const client = remote.connect({ keyAvailability: 'off', switches: { certificateStorage } });
      await until(() => client.up.length === 1);
      await client.login('crypto_user', PASSWORD);
      const code = await codeOf(() => client.createObject(certificate));
      await end(client);
      return code;
    };
    expect(await stored(true)).to.equal('CKR_OK');
    expect(await stored(false)).to.equal('CKR_TEMPLATE_INCONSISTENT');
    expect(await stored(true)).to.equal('CKR_OK');
    expect(seen.size).to.equal(2);
  });

  it('is made anew where the HSM was away meanwhile, or answers nobody', async () => {
    await end(await begin('crypto_user'));
    const { id } = hsm.settings;
    await network.cutOff(id);
    await network.comeBack(id);
    const second = await begin('crypto_user');
    expect(await second.send('generateRandom', { lengthBytes: 8 })).to.have.length(8);
    await end(second);

    await hsm.fail('unreachable');
    const third = remote.connect({ keyAvailability: 'off', patienceMs: 50 });
    expect(await codeOf(() => third.login('crypto_user', PASSWORD))).to.equal('CKR_DEVICE_ERROR');
    await hsm.heal();
    await until(() => third.up.length === 1);
    await third.login('crypto_user', PASSWORD);
    await end(third);
  });

  it('ends when those who may come change: whoever comes next shows who they are', async () => {
    await end(await begin('crypto_user'));
    expect(connections()).to.equal(2);
    const other = await TestAuthority.make();
    await hsm.mutualTls.register(other.authority.trustAnchor, async () => undefined);
    await until(() => connections() === 1);
    await end(await begin('crypto_user'));
    expect(seen.size).to.equal(3);
  });

  it('ends then also where nobody has said hello yet', async () => {
    const { trustAnchor: ca, certificate: cert, privateKey: key } = network.client;
    const socket = connectTls({
      ...network.endpoints[0]!,
      ca,
      cert,
      key,
      checkServerIdentity: () => undefined,
    });
    socket.on('error', () => undefined).resume();
    await until(() => connections() === 2);
    const other = await TestAuthority.make();
    const ended = new Promise((resolve) => socket.on('close', () => resolve('ended')));
    await hsm.mutualTls.register(other.authority.trustAnchor, async () => undefined);
    expect(await Promise.race([ended, sleep(3_000, 'open')])).to.equal('ended');
  });

  it('is nobody’s whose authority was taken off while an application had it', async () => {
    const other = await TestAuthority.make('another CA');
    const write = async () => undefined;
    const { reference } = await hsm.mutualTls.register(other.authority.trustAnchor, write);
    const { trustAnchor } = network.client;
    const identity = { ...(await other.identity('client')), trustAnchor };
    const guest = await RemoteCluster.open({ servers: network.endpoints, identity, log: silentLog });
    const open = () => guest.connect({ keyAvailability: 'off', patienceMs: 300 });
    const first = open();
    await first.login('crypto_user', PASSWORD);
    await hsm.mutualTls.deregister(reference, write);
    expect(await first.send('generateRandom', { lengthBytes: 8 })).to.have.length(8);
    first.close();
    await until(() => hsm.openSessions === 2);
    const second = open();
    expect(await codeOf(() => second.login('crypto_user', PASSWORD))).to.equal('CKR_DEVICE_ERROR');
    second.close();
    guest.close();
  });

  it('is nobody’s whose certificate has expired while an application had it', async () => {
    const first = await begin('crypto_user');
    const { now } = Date;
    Date.now = () => now() + CENTURY_MS;
    try {
      first.close();
      await until(() => sessions() === 0);
      await until(() => connections() === 1);
    } finally {
      Date.now = now;
    }
  });

  it('that was cut off without a word does not keep the next one waiting for as long as a way that is new', async () => {
    const cut = await Wire.to(network.endpoints[0]!.port);
    const idle = new IdleStreams();
    const { client: identity } = network;
    const timeouts = { connectMs: 3_600_000, silenceMs: 6_000 };
    const connect = () => connectToHsm({ endpoint: cut.endpoint, identity, idle, timeouts });
    const leave = async (): Promise<void> => {
      (await connect()).close();
      await until(() => sessions() === 0);
      // The HSM's word has to come back.
      await sleep(50);
    };
    await leave();
    expect(cut.connections).to.equal(1);
    cut.silence();
    const connection = await connect();
    expect(cut.connections).to.equal(2);
    connection.close();
    idle.close();
    cut.close();
  });

  it('is one of a few at most, and ends with the client or with the HSM’s leaving the cluster', async () => {
    const all = await Promise.all(Array.from({ length: 12 }, () => begin()));
    expect(connections()).to.equal(13);
    for (const client of all) client.close();
    await until(() => connections() === 5);

    network.change([]);
    await until(() => connections() === 1);
    network.change([hsm.settings.id]);
    await until(() => remote.hsms.length === 1);
    await end(await begin('crypto_user'));
    expect(connections()).to.equal(2);
    remote.close();
    await until(() => connections() === 0);
  });
});
