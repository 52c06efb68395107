import { expect } from 'chai';
import type { HsmType } from '../../src/base/cluster-kind.js';
import type { Cluster } from '../../src/cluster/cluster.js';
import type { ClusterClient } from '../../src/cluster/cluster-client.js';
import { keySettings } from '../../src/objects/key-settings.js';
import { type AttributeName, attributeKind, CKA } from '../../src/pkcs11/attributes.js';
import { CKM } from '../../src/pkcs11/mechanisms.js';
import { attribute, type Template } from '../../src/pkcs11/template.js';
import { codeOf } from '../support/codes.js';
import { memoryCluster, PASSWORD } from '../support/in-process.js';

const TRUE = Buffer.from([1]);
const FALSE = Buffer.from([0]);

interface Cast {
  readonly cluster: Cluster;
  readonly owner: ClusterClient;
  readonly other: ClusterClient;
  readonly admin: ClusterClient;
}

async function cast(hsmType: HsmType): Promise<Cast> {
  const cluster = await memoryCluster({ hsmType });
  const [owner, other, admin] = [cluster.connect(), cluster.connect(), cluster.connect()];
  await owner.login('crypto_user', PASSWORD);
  await other.login('other_user', PASSWORD);
  await admin.login('admin', PASSWORD, 'CO');
  return { cluster, owner, other, admin };
}

const aesKey = (client: ClusterClient, more: Template = [], token = true) =>
  client.generateKey(CKM.CKM_AES_KEY_GEN, [
    attribute(CKA.CKA_VALUE_LEN, 32),
    attribute(CKA.CKA_TOKEN, token),
    ...more,
  ]);

/** What every HSM of the cluster says of the attribute to the key's owner. */
const onEveryHsm = (cluster: Cluster, handle: number, type: number) =>
  cluster.hsms.map((hsm) => hsm.objects.get(handle)?.object.attributes.get(type));

describe('setting attributes of keys as the tools do (reference section 11.4)', () => {
  for (const hsmType of ['hsm1.medium', 'hsm2m.medium'] as const) {
    describe(`on ${hsmType}`, () => {
      let people: Cast;

      before(async () => {
        people = await cast(hsmType);
      });

      const booleans = Object.entries(keySettings).filter(
        ([name]) => attributeKind(CKA[name as AttributeName]) === 'bool' && name !== 'CKA_TOKEN',
      );
      for (const [name, row] of booleans) {
        const type = CKA[name as AttributeName];
        const ways = row.way === 'both' ? [true, false, true] : [row.way === 'toTrue'];
        const forbidden = row.notOnHsm1 === 'any' && hsmType === 'hsm1.medium';

        it(`${name} is set by ${row.by === 'admin' ? 'an admin' : 'the owner'}${forbidden ? ' elsewhere only' : ` (${row.way}), on every HSM`}`, async () => {
          const { cluster, owner, other, admin } = people;
          const [setter, wrong] = row.by === 'admin' ? [admin, owner] : [owner, admin];
          const handle = await aesKey(owner, type === CKA.CKA_TRUSTED ? [] : [attribute(type, !ways[0]!)]);
          const set = (client: ClusterClient, to: boolean) =>
            codeOf(() => client.setKeyAttribute(handle, attribute(type, to)));
          expect(await set(wrong, ways[0]!)).to.equal('CKR_ACTION_PROHIBITED');
          expect(await set(other, ways[0]!)).to.equal('CKR_OBJECT_HANDLE_INVALID');
          for (const to of ways) {
            expect(await set(setter, to)).to.equal(forbidden ? 'CKR_ATTRIBUTE_READ_ONLY' : 'CKR_OK');
            if (forbidden) return;
            const value = to ? TRUE : FALSE;
            expect(onEveryHsm(cluster, handle, type)).to.deep.equal([value, value]);
          }
          if (row.way === 'both') return;
          const back = type === CKA.CKA_MODIFIABLE ? 'CKR_ACTION_PROHIBITED' : 'CKR_ATTRIBUTE_READ_ONLY';
          expect(await set(setter, !ways[0]!)).to.equal(back);
        });
      }

      it(`CKA_DERIVE is set on ${hsmType === 'hsm1.medium' ? 'all but RSA keys' : 'RSA keys too'}`, async () => {
        const { owner } = people;
        const pair = await owner.generateKeyPair(
          CKM.CKM_RSA_X9_31_KEY_PAIR_GEN,
          [attribute(CKA.CKA_MODULUS_BITS, 2048), attribute(CKA.CKA_PUBLIC_EXPONENT, Buffer.from([1, 0, 1]))],
          [],
        );
        const set = () => owner.setKeyAttribute(pair.privateKey, attribute(CKA.CKA_DERIVE, true));
        expect(await codeOf(set)).to.equal(hsmType === 'hsm1.medium' ? 'CKR_ATTRIBUTE_READ_ONLY' : 'CKR_OK');
      });
    });
  }

  let people: Cast;

  before(async () => {
    people = await cast('hsm2m.medium');
  });

  it('what has no row never changes, whoever asks', async () => {
    const { owner, admin } = people;
    const handle = await aesKey(owner);
    const never = Object.keys(CKA).filter((name) => !(name in keySettings));
    expect(never).to.include.members([
      'CKA_SENSITIVE',
      'CKA_PRIVATE',
      'CKA_LOCAL',
      'CKA_CLASS',
      'CKA_KEY_TYPE',
    ]);
    for (const name of never) {
      const entry = { type: CKA[name as AttributeName], value: FALSE };
      for (const client of [owner, admin]) {
        expect(await codeOf(() => client.setKeyAttribute(handle, entry)), name).to.equal(
          'CKR_ATTRIBUTE_READ_ONLY',
        );
      }
    }
  });

  it('a label and an id change, and the key is found by the new ones', async () => {
    const { owner } = people;
    const handle = await aesKey(owner, [attribute(CKA.CKA_LABEL, 'old')]);
    await owner.setKeyAttribute(handle, attribute(CKA.CKA_LABEL, 'new'));
    await owner.setKeyAttribute(handle, attribute(CKA.CKA_ID, Buffer.from('new id')));
    for (const template of [
      [attribute(CKA.CKA_LABEL, 'new')],
      [attribute(CKA.CKA_ID, Buffer.from('new id'))],
    ]) {
      expect(await owner.findObjects(template)).to.deep.equal([handle]);
    }
    expect(await owner.findObjects([attribute(CKA.CKA_LABEL, 'old')])).to.deep.equal([]);
  });

  it('a session key becomes a token key on every HSM, under its handle, once; and never goes back', async () => {
    const { cluster, owner } = people;
    const handle = await aesKey(owner, [attribute(CKA.CKA_LABEL, 'kept')], false);
    const promote = () => owner.setKeyAttribute(handle, attribute(CKA.CKA_TOKEN, true));
    const codes = await Promise.all([codeOf(promote), codeOf(promote)]);
    expect(codes).to.deep.equal(['CKR_OK', 'CKR_ACTION_PROHIBITED']);
    expect(onEveryHsm(cluster, handle, CKA.CKA_TOKEN)).to.deep.equal([TRUE, TRUE]);
    expect(await owner.findObjects([attribute(CKA.CKA_LABEL, 'kept')])).to.deep.equal([handle]);
    expect(await codeOf(() => owner.setKeyAttribute(handle, attribute(CKA.CKA_TOKEN, false)))).to.equal(
      'CKR_ATTRIBUTE_READ_ONLY',
    );
    const later = cluster.connect();
    await later.login('crypto_user', PASSWORD);
    expect(await later.findObjects([attribute(CKA.CKA_LABEL, 'kept')])).to.deep.equal([handle]);
  });

  it('a key with CKA_MODIFIABLE FALSE stays as it is, for its owner and for an admin', async () => {
    const { owner, admin } = people;
    const handle = await aesKey(owner, [attribute(CKA.CKA_MODIFIABLE, false)]);
    for (const [client, type] of [
      [owner, CKA.CKA_ENCRYPT],
      [admin, CKA.CKA_TRUSTED],
    ] as const) {
      expect(await codeOf(() => client.setKeyAttribute(handle, attribute(type, true)))).to.equal(
        'CKR_ACTION_PROHIBITED',
      );
    }
  });
});

describe('sharing keys (reference section 7)', () => {
  let people: Cast;
  let handle: number;
  const mechanism = { type: CKM.CKM_AES_ECB, parameter: undefined };
  const encrypt = (client: ClusterClient): unknown =>
    client.send('encrypt', { handle, mechanism, input: Buffer.alloc(16) });
  const find = (client: ClusterClient): unknown => client.findObjects([attribute(CKA.CKA_LABEL, 'shared')]);

  beforeEach(async () => {
    people = await cast('hsm2m.medium');
    handle = await aesKey(people.owner, [
      attribute(CKA.CKA_LABEL, 'shared'),
      attribute(CKA.CKA_ENCRYPT, true),
    ]);
  });

  it('the receiver finds and uses the key, until it is unshared', async () => {
    const { owner, other } = people;
    expect(await find(other)).to.deep.equal([]);
    await owner.shareKey(handle, 'other_user');
    await owner.shareKey(handle, 'other_user');
    expect(await find(other)).to.deep.equal([handle]);
    expect(await encrypt(other)).to.deep.equal(await encrypt(owner));
    await owner.unshareKey(handle, 'other_user');
    expect(await find(other)).to.deep.equal([]);
    expect(await codeOf(() => encrypt(other))).to.equal('CKR_KEY_HANDLE_INVALID');
  });

  it('every HSM of the cluster knows of it', async () => {
    const { cluster, owner } = people;
    await owner.shareKey(handle, 'other_user');
    expect(cluster.hsms.map((hsm) => hsm.objects.get(handle)!.object.sharedWith)).to.deep.equal([
      ['other_user'],
      ['other_user'],
    ]);
  });

  it('the receiver cannot change, delete, share or unshare it', async () => {
    const { owner, other } = people;
    await owner.shareKey(handle, 'other_user');
    const attempts: Record<string, () => unknown> = {
      setAttributes: () => other.setAttributes(handle, [attribute(CKA.CKA_LABEL, 'mine')]),
      setKeyAttribute: () => other.setKeyAttribute(handle, attribute(CKA.CKA_LABEL, 'mine')),
      destroyObject: () => other.destroyObject(handle),
      copyObject: () => other.copyObject(handle, []),
      shareKey: () => other.shareKey(handle, 'other_user'),
      unshareKey: () => other.unshareKey(handle, 'other_user'),
    };
    for (const [what, attempt] of Object.entries(attempts)) {
      expect(await codeOf(attempt), what).to.equal('CKR_ACTION_PROHIBITED');
    }
    expect(await find(owner)).to.deep.equal([handle]);
  });

  it('the receiver wraps keys of their own with it, and does not take it out of the HSM', async () => {
    const { owner, other } = people;
    const wraps = () => [attribute(CKA.CKA_WRAP, true)];
    const shared = await aesKey(owner, wraps());
    await owner.shareKey(shared, 'other_user');
    const own = await aesKey(other, wraps());
    const mechanism = { type: CKM.CKM_CLOUDHSM_AES_KEY_WRAP_ZERO_PAD, parameter: undefined };
    const request = { mechanism, roomBytes: 1024 };
    const { wrapped } = await other.wrapKey({ ...request, wrappingKey: shared, handle: own });
    expect(wrapped).to.have.length(40);
    for (const wrappingKey of [own, shared])
      for (const roomBytes of [0, 1024])
        expect(
          await codeOf(() => other.wrapKey({ mechanism, roomBytes, wrappingKey, handle: shared })),
        ).to.equal('CKR_ACTION_PROHIBITED');
    expect((await owner.wrapKey({ ...request, wrappingKey: shared, handle: shared })).wrapped).to.have.length(
      40,
    );
  });

  it('is refused with oneself, with an admin, with nobody; of session, public and unseen keys', async () => {
    const { owner, other } = people;
    for (const user of ['crypto_user', 'admin', 'nobody', '']) {
      expect(await codeOf(() => owner.shareKey(handle, user)), user).to.equal('CKR_ACTION_PROHIBITED');
    }
    const session = await aesKey(owner, [], false);
    expect(await codeOf(() => owner.shareKey(session, 'other_user'))).to.equal('CKR_ACTION_PROHIBITED');
    const pair = await owner.generateKeyPair(
      CKM.CKM_EC_KEY_PAIR_GEN,
      [
        attribute(CKA.CKA_EC_PARAMS, Buffer.from('06082a8648ce3d030107', 'hex')),
        attribute(CKA.CKA_TOKEN, true),
      ],
      [attribute(CKA.CKA_TOKEN, true)],
    );
    expect(await codeOf(() => owner.shareKey(pair.publicKey, 'other_user'))).to.equal(
      'CKR_ACTION_PROHIBITED',
    );
    expect(await codeOf(() => owner.shareKey(pair.privateKey, 'other_user'))).to.equal('CKR_OK');
    expect(await codeOf(() => other.shareKey(handle, 'other_user'))).to.equal('CKR_OBJECT_HANDLE_INVALID');
  });
});
