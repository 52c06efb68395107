import { createHmac } from 'node:crypto';
import { expect } from 'chai';
import fc from 'fast-check';
import type { ClusterClient } from '../../src/cluster/cluster-client.js';
import type { RemoteCluster } from '../../src/cluster/remote-cluster.js';
import type { CommandName } from '../../src/hsm/commands/index.js';
import type { Hsm } from '../../src/hsm/hsm.js';
import { CKA } from '../../src/pkcs11/attributes.js';
import { CKM } from '../../src/pkcs11/mechanisms.js';
import { attribute, type Template } from '../../src/pkcs11/template.js';
import { codeOf } from '../support/codes.js';
import { type ClusterOptions, loggedIn, PASSWORD } from '../support/in-process.js';
import { newQuorumKey, twoOfTwo } from '../support/key-quorums.js';
import { curveOids } from '../support/keys.js';
import { NetworkCluster, until } from '../support/network.js';
import { flags, genericKey, mechanism, template } from '../support/program.js';

const RUNS = Number(process.env['CLOUDHSM_LOCAL_PROPERTY_RUNS'] ?? 40);
const VALUE = Buffer.alloc(32, 7);
const DATA = Buffer.from('what is to be authenticated');
const HMAC = mechanism('CKM_SHA256_HMAC');
const macOf = (data: Buffer): string => createHmac('sha256', VALUE).update(data).digest('hex');
const label = (text: string): Template => [attribute(CKA.CKA_LABEL, Buffer.from(text))];

describe('commands to an HSM elsewhere that come again and again', () => {
  let network: NetworkCluster;
  let remote: RemoteCluster;
  let hsm: Hsm;
  let client: ClusterClient;
  /** What came to the HSM as a command. */
  let ran: CommandName[];

  async function start(options: ClusterOptions = {}): Promise<void> {
    network = await NetworkCluster.start({ hsms: 1, ...options });
    hsm = network.cluster.hsms[0]!;
    ran = [];
    const connect = hsm.connect.bind(hsm);
    hsm.connect = (how) => {
      const connection = connect(how);
      const send: typeof connection.send = (name, ...rest) => {
        ran.push(name);
        return connection.send(name, ...rest);
      };
      return { ...connection, send };
    };
    remote = await network.open();
    client = await another();
  }
  async function another(user = 'crypto_user'): Promise<ClusterClient> {
    const one = remote.connect({ keyAvailability: 'off' });
    await until(() => one.up.length === 1);
    await one.login(user, PASSWORD);
    return one;
  }
  beforeEach(() => start());
  afterEach(() => network.close());

  const secret = (token = true) =>
    template({
      ...genericKey,
      CKA_VALUE: VALUE,
      CKA_TOKEN: token,
      CKA_LABEL: Buffer.from('old'),
      ...flags('CKA_SIGN', 'CKA_VERIFY', 'CKA_EXTRACTABLE'),
    });
  const newKey = async (token = true): Promise<number> => client.createObject(secret(token));
  const sign = async (handle: number, input = DATA, by = client): Promise<string> =>
    (await by.send('sign', { handle, mechanism: HMAC, input: Buffer.from(input) })).toString('hex');
  const verify = async (handle: number, input = DATA, mac = macOf(input)): Promise<boolean> =>
    client.send('verify', {
      ...{ handle, mechanism: HMAC, input: Buffer.from(input) },
      signature: Buffer.from(mac, 'hex'),
    });
  async function read(handle: number, types: number[] = [CKA.CKA_LABEL], by = client): Promise<string> {
    const values = await by.send('getAttributes', { handle, types }, 'C_GetAttributeValue');
    return values.map((value) => value.toString()).join();
  }
  /** Until the HSM's side of the connection answers by itself. */
  async function untilRepeated(command: () => Promise<unknown>): Promise<void> {
    for (let time = 0; time < 3; time++) await command();
    ran = [];
    await command();
    expect(ran, 'commands while they are repeated').to.deep.equal([]);
  }
  /** As an HSM command of somebody else. */
  async function onHsm(
    work: (connection: Awaited<ReturnType<typeof loggedIn>>) => unknown,
    user = 'crypto_user',
    role: 'CU' | 'CO' = 'CU',
  ): Promise<void> {
    const connection = await loggedIn(hsm, user, role);
    await work(connection);
    connection.close();
  }
  const count = (name: CommandName): number => new Map(hsm.commandCounts()).get(name) ?? 0;

  it('are answered as they were, on other data, and of other lengths', async () => {
    const key = await newKey();
    await untilRepeated(() => sign(key));
    for (const length of [0, 1, 63, 64, 65, 4096, 16_000]) {
      const data = Buffer.alloc(length, length);
      expect(await sign(key, data)).to.equal(macOf(data));
    }
    await untilRepeated(() => read(key, [CKA.CKA_LABEL, CKA.CKA_SIGN]));
    expect(await read(key, [CKA.CKA_LABEL, CKA.CKA_SIGN])).to.equal('old,\u0001');
    expect(ran).to.deep.equal([]);
  });

  it('are each counted', async () => {
    const key = await newKey();
    const counts = (): number[] => [count('sign'), count('verify'), count('getAttributes')];
    const after = counts().map((before) => before + 50);
    for (let time = 0; time < 50; time++) {
      await sign(key);
      await verify(key);
      await read(key);
    }
    expect(ran.filter((name) => name === 'sign')).to.have.length(2);
    expect(ran.filter((name) => name === 'verify')).to.have.length(2);
    expect(counts()).to.deep.equal(after);
    const { openSessions } = hsm;
    client.close();
    await until(() => hsm.openSessions < openSessions);
    expect(counts()).to.deep.equal(after);
  });

  it('say of each signature whether it is the one', async () => {
    const key = await newKey();
    await untilRepeated(() => verify(key));
    const other = Buffer.from('something else');
    expect(await verify(key, other)).to.equal(true);
    expect(ran).to.deep.equal([]);
    const before = count('verify');
    expect(await verify(key, other, macOf(DATA))).to.equal(false);
    expect(await verify(key, DATA, macOf(DATA).slice(2))).to.equal(false);
    expect(await verify(key, DATA, `${macOf(DATA)}00`)).to.equal(false);
    expect(await verify(key, DATA, '')).to.equal(false);
    expect(ran).to.deep.equal(['verify', 'verify', 'verify', 'verify']);
    expect(await verify(key)).to.equal(true);
    expect(count('verify')).to.equal(before + 5);
    expect(await codeOf(() => verify(key, Buffer.alloc(100_000)))).to.equal('CKR_DATA_LEN_RANGE');
  });

  it('keep their order and their answers, many at once between others and in frames longer than a record', async () => {
    const key = await newKey();
    await untilRepeated(() => sign(key));
    const all = Array.from({ length: 400 }, (_, at) => Buffer.alloc((at * 97) % 16_000, at));
    const answers = await Promise.all(
      all.map(async (data, at) => {
        if (at % 7 === 0) await read(key);
        return sign(key, data);
      }),
    );
    expect(answers).to.deep.equal(all.map(macOf));
  });

  it('are done before what comes behind them, and not after it', async () => {
    const key = await newKey(false);
    await untilRepeated(() => sign(key));
    const [first, destroyed, second] = await Promise.allSettled([
      sign(key),
      client.send('destroyObject', { handle: key }),
      sign(key),
    ]);
    expect(first).to.include({ status: 'fulfilled', value: macOf(DATA) });
    expect(destroyed.status).to.equal('fulfilled');
    expect(second).to.have.nested.property('reason.code', 'CKR_KEY_HANDLE_INVALID');
  });

  it('are refused as ever where they are not plain success', async () => {
    const key = await newKey();
    await untilRepeated(() => sign(key));
    expect(await codeOf(() => sign(key, Buffer.alloc(100_000)))).to.equal('CKR_DATA_LEN_RANGE');
    const other = { handle: key, mechanism: mechanism('CKM_AES_CMAC'), input: DATA };
    expect(await codeOf(() => client.send('sign', other))).to.equal('CKR_KEY_TYPE_INCONSISTENT');
    expect(await codeOf(() => sign(key + 64))).to.equal('CKR_KEY_HANDLE_INVALID');
    expect(await sign(key)).to.equal(macOf(DATA));
  });

  it('are commands each time where approvals are counted', async () => {
    let key = 0;
    await onHsm(async (connection) => {
      const access = { sharedWith: ['other_user'], quorum: { ...twoOfTwo, use: 0 } };
      key = await newQuorumKey(connection, access);
    });
    const cmac = mechanism('CKM_AES_CMAC');
    ran = [];
    for (let time = 0; time < 6; time++)
      await client.send('sign', { handle: key, mechanism: cmac, input: DATA });
    expect(ran.filter((name) => name === 'sign')).to.have.length(6);
  });

  it('are answered, counted and ended the same where other threads do them', async () => {
    const parameters = attribute(CKA.CKA_EC_PARAMS, Buffer.from(curveOids['P-384'], 'hex'));
    const { publicKey, privateKey } = await client.generateKeyPair(
      CKM.CKM_EC_KEY_PAIR_GEN,
      [parameters, ...template(flags('CKA_VERIFY'))],
      template(flags('CKA_SIGN')),
    );
    const ecdsa = mechanism('CKM_ECDSA');
    const input = (at: number): Buffer => Buffer.alloc(48, at);
    const signed = async (at: number): Promise<Buffer> =>
      client.send('sign', { handle: privateKey, mechanism: ecdsa, input: input(at) });
    const before = [count('sign'), count('verify')] as const;
    for (let round = 0; round < 5; round++) {
      const signatures = await Promise.all([0, 1, 2, 3].map(signed));
      const verified = signatures.flatMap((signature, at) =>
        [at, at + 1].map(async (of) =>
          client.send('verify', { handle: publicKey, mechanism: ecdsa, input: input(of), signature }),
        ),
      );
      expect(await Promise.all(verified)).to.deep.equal([0, 1, 2, 3].flatMap(() => [true, false]));
    }
    expect([count('sign'), count('verify')]).to.deep.equal([before[0] + 20, before[1] + 40]);
    const last = Promise.all([signed(1), client.send('destroyObject', { handle: privateKey })]);
    expect(await codeOf(() => signed(2))).to.equal('CKR_KEY_HANDLE_INVALID');
    expect(await codeOf(() => last)).to.be.oneOf(['CKR_OK', 'CKR_KEY_HANDLE_INVALID']);
  });

  const endings: Record<string, { end: (key: number) => unknown; code: string }> = {
    'its key is destroyed': {
      end: (key) => client.destroyObject(key),
      code: 'CKR_KEY_HANDLE_INVALID',
    },
    'somebody else destroys its key': {
      end: async (key) => (await another()).destroyObject(key),
      code: 'CKR_KEY_HANDLE_INVALID',
    },
    'another HSM has heard that its key was destroyed': {
      end: (key) => hsm.objects.bury(key),
      code: 'CKR_KEY_HANDLE_INVALID',
    },
    'the key may no longer be used so': {
      end: (key) =>
        onHsm((connection) =>
          connection.send('setAttributes', {
            handle: key,
            template: template({ CKA_SIGN: false, CKA_VERIFY: false }),
          }),
        ),
      code: 'CKR_KEY_FUNCTION_NOT_PERMITTED',
    },
    'the client logs out': {
      end: () => client.logout(),
      code: 'CKR_USER_NOT_LOGGED_IN',
    },
    'another user logs in': {
      end: async () => {
        await client.logout();
        await client.login('other_user', PASSWORD);
      },
      code: 'CKR_KEY_HANDLE_INVALID',
    },
    'the HSM is said to be busy': {
      end: () => hsm.fail('throttled'),
      code: 'CKR_FUNCTION_FAILED',
    },
  };
  for (const [what, { end, code }] of Object.entries(endings)) {
    it(`are commands again, and refused, once ${what}`, async () => {
      const key = await newKey();
      await untilRepeated(() => sign(key));
      await untilRepeated(() => verify(key));
      await untilRepeated(() => read(key));
      await end(key);
      ran = [];
      expect(await codeOf(() => sign(key))).to.equal(code);
      expect(await codeOf(() => verify(key))).to.equal(code);
      if (code !== 'CKR_KEY_FUNCTION_NOT_PERMITTED')
        expect(await codeOf(() => read(key))).to.equal(code.replace('KEY', 'OBJECT'));
      expect(ran).to.include.members(['sign', 'verify']);
    });
  }

  it('are refused once a key is shared no longer', async () => {
    const key = await newKey();
    await client.shareKey(key, 'other_user');
    const other = await another('other_user');
    await untilRepeated(() => sign(key, DATA, other));
    await client.unshareKey(key, 'other_user');
    expect(await codeOf(() => sign(key, DATA, other))).to.equal('CKR_KEY_HANDLE_INVALID');
  });

  it('go on, of many keys at once, each with its own', async () => {
    const keys: number[] = [];
    for (let at = 0; at < 40; at++)
      keys.push(
        await client.createObject([
          ...secret(false).filter(({ type }) => type !== CKA.CKA_VALUE),
          attribute(CKA.CKA_VALUE, Buffer.alloc(32, at)),
        ]),
      );
    for (let round = 0; round < 4; round++)
      for (const [at, key] of keys.entries()) {
        const wanted = createHmac('sha256', Buffer.alloc(32, at)).update(DATA).digest('hex');
        expect(await sign(key)).to.equal(wanted);
      }
  });

  it('never give what an attribute was before its change was answered', async () => {
    const key = await newKey();
    const second = await newKey();
    const other = await another();
    const step = fc.record({
      what: fc.constantFrom('read', 'read', 'read', 'sign', 'set', 'join'),
      by: fc.boolean(),
      on: fc.boolean(),
    });
    let changes = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 40 }), async (steps) => {
        for (const { what, by, on } of steps) {
          const [who, handle] = [by ? client : other, on ? key : second];
          if (what === 'sign') expect(await sign(handle, DATA, who)).to.equal(macOf(DATA));
          else if (what === 'set') await who.setAttributes(handle, label(`label ${changes++}`));
          else if (what === 'join') await hsm.join();
          else {
            const kept = hsm.objects.get(handle)!.object.attributes.get(CKA.CKA_LABEL)!;
            expect(await read(handle, undefined, who)).to.equal(kept.toString());
          }
        }
      }),
      { numRuns: RUNS },
    );
  });
});
