import { expect } from 'chai';
import type { Cluster } from '../../src/cluster/cluster.js';
import type { ClusterClient } from '../../src/cluster/cluster-client.js';
import { Synchronizer } from '../../src/cluster/synchronizer.js';
import type { HsmConnection } from '../../src/hsm/hsm.js';
import { HsmUnavailable } from '../../src/hsm/unavailable.js';
import { CKA } from '../../src/pkcs11/attributes.js';
import { CKM } from '../../src/pkcs11/mechanisms.js';
import { attribute } from '../../src/pkcs11/template.js';
import { codeOf } from '../support/codes.js';
import { memoryCluster, PASSWORD } from '../support/in-process.js';
import { seeded } from '../support/seeded.js';

const template = (label: string) => [
  attribute(CKA.CKA_VALUE_LEN, 32),
  attribute(CKA.CKA_TOKEN, true),
  attribute(CKA.CKA_ENCRYPT, true),
  attribute(CKA.CKA_LABEL, label),
];

/** Server-side synchronisation (tools reference, section 7), between HSMs of which some missed something. */
describe('HSMs that missed something', () => {
  let cluster: Cluster;
  let all: ClusterClient;
  /** A client that uses only the first HSM: as one does while the others are away. */
  let first: ClusterClient;

  beforeEach(async () => {
    cluster = await memoryCluster({ hsms: 3 });
    all = cluster.connect();
    first = cluster.connect({ uses: (hsm) => hsm === cluster.hsms[0], keyAvailability: 'off' });
    await all.login('crypto_user', PASSWORD);
    await first.login('crypto_user', PASSWORD);
  });

  const catchUp = () => Promise.all(cluster.hsms.map((hsm) => hsm.synchronize()));
  const digests = () => cluster.hsms.map((hsm) => hsm.objects.versions.digests().toString('hex'));
  const labels = (handle: number) =>
    cluster.hsms.map((hsm) => hsm.objects.get(handle)?.object.attributes.get(CKA.CKA_LABEL)?.toString());
  const generate = (client: ClusterClient, label: string) =>
    client.generateKey(CKM.CKM_AES_KEY_GEN, template(label));

  it('get the key, under its handle, with its value and attributes', async () => {
    const handle = await generate(first, 'new');
    expect(labels(handle)).to.deep.equal(['new', undefined, undefined]);
    await catchUp();
    expect(new Set(digests()).size).to.equal(1);
    const [one, ...others] = cluster.hsms.map((hsm) => hsm.objects.get(handle)!.object);
    for (const other of others) expect(other).to.deep.equal(one);
    expect(cluster.hsms.map((hsm) => hsm.counts.keys)).to.deep.equal([1, 1, 1]);
  });

  it('give no handle again that they gave before their store was put back to an earlier state', async () => {
    const handle = await generate(first, 'before');
    const [one, two] = cluster.hsms;
    const { object } = one!.objects.get(handle)!;
    const later = handle + 3 * 64;
    await two!.objects.insert({ ...object, handle: later, material: Buffer.from(object.material) });
    await one!.synchronize();
    const made = [await generate(first, 'next'), await generate(first, 'next')];
    for (const next of made) expect(next).to.be.greaterThan(later);
  });

  it('connect again to one that has lost their connection since the round before', async () => {
    const [one, two] = cluster.hsms;
    let isLost = false;
    const connect = (): HsmConnection => {
      const connection = two!.connectPeer();
      return {
        ...connection,
        send: (...command) => {
          if (isLost) throw new HsmUnavailable('unreachable', 'it was restarted');
          return connection.send(...command);
        },
      };
    };
    const synchronizer = new Synchronizer(one!, () => [
      { hsmId: two!.settings.id, connect: isLost ? () => two!.connectPeer() : connect },
    ]);
    const handle = await generate(all, 'destroyed');
    await synchronizer.catchUp();
    isLost = true;
    await two!.objects.remove(handle, () => undefined);
    await synchronizer.catchUp();
    expect(labels(handle)[0]).to.equal(undefined);
    await synchronizer.stop();
  });

  it('take over nothing any more once they have left, and may be closed then', async () => {
    for (let count = 0; count < 40; count++) await generate(first, `key ${count}`);
    const leaving = cluster.hsms[2]!;
    let isOver = false;
    const round = leaving.synchronize().then(() => {
      isOver = true;
    });
    await cluster.remove(leaving.settings.id);
    const { count } = leaving.objects;
    expect(count).to.be.lessThan(40);
    await new Promise((resolve) => setImmediate(resolve));
    expect(isOver).to.equal(true);
    await round;
    await leaving.synchronize();
    expect(leaving.objects.count).to.equal(count);
    await leaving.close();
  });

  it('get what only one of them has, when that one leaves', async () => {
    const handle = await generate(first, 'alone');
    await cluster.remove(cluster.hsms[0]!.settings.id);
    expect(labels(handle)).to.deep.equal(['alone', 'alone']);
  });

  it('get the later attributes and shares, whichever HSM has them', async () => {
    const handle = await generate(all, 'old');
    await first.setAttributes(handle, [attribute(CKA.CKA_LABEL, 'later')]);
    await first.shareKey(handle, 'other_user');
    expect(labels(handle)).to.deep.equal(['later', 'old', 'old']);
    await catchUp();
    expect(labels(handle)).to.deep.equal(['later', 'later', 'later']);
    for (const hsm of cluster.hsms)
      expect(hsm.objects.get(handle)!.object.sharedWith).to.deep.equal(['other_user']);
  });

  it('lose a key that was destroyed while they were away, and never bring it back', async () => {
    const handle = await generate(all, 'short-lived');
    await first.destroyObject(handle);
    expect(labels(handle)).to.deep.equal([undefined, 'short-lived', 'short-lived']);
    await catchUp();
    expect(labels(handle)).to.deep.equal([undefined, undefined, undefined]);
    await catchUp();
    expect(cluster.hsms.map((hsm) => hsm.objects.count)).to.deep.equal([0, 0, 0]);
    expect(new Set(digests()).size).to.equal(1);
  });

  const second = async () => {
    const client = cluster.connect({ uses: (hsm) => hsm === cluster.hsms[1], keyAvailability: 'off' });
    await client.login('crypto_user', PASSWORD);
    return client;
  };

  it('get what was changed apart, on whichever HSM that was: of attributes and users', async () => {
    const other = await second();
    const set = (client: ClusterClient, handle: number, type: number, value: string | boolean) =>
      client.setKeyAttribute(handle, attribute(type, value));
    for (const [one, two] of [
      [first, other],
      [other, first],
    ] as const) {
      const handle = await generate(all, 'old');
      await all.shareKey(handle, 'other_user');
      await one.unshareKey(handle, 'other_user');
      await set(one, handle, CKA.CKA_ENCRYPT, false);
      // As often as that, so that this is the later state in either case.
      for (const label of ['one', 'two', 'three', 'new']) await set(two, handle, CKA.CKA_LABEL, label);
      await catchUp();
      await catchUp();
      const objects = cluster.hsms.map((hsm) => hsm.objects.get(handle)!.object);
      for (const { attributes, sharedWith } of objects) {
        expect(attributes.get(CKA.CKA_LABEL)!.toString()).to.equal('new');
        expect(attributes.get(CKA.CKA_ENCRYPT)).to.deep.equal(Buffer.from([0]));
        expect(sharedWith).to.deep.equal([]);
      }
      for (const object of objects) expect(object).to.deep.equal(objects[0]);
      expect(new Set(digests()).size).to.equal(1);
    }
    other.close();
  });

  it('have both of two changes once they have caught up, without waiting for the others', async () => {
    const other = await second();
    for (let times = 0; times < 8; times++) {
      const handle = await generate(all, 'old');
      await all.shareKey(handle, 'other_user');
      await first.unshareKey(handle, 'other_user');
      await other.setAttributes(handle, [attribute(CKA.CKA_LABEL, `new ${times}`)]);
      const [one, two] = cluster.hsms;
      await two!.synchronize();
      expect(two!.objects.get(handle)!.object.sharedWith).to.deep.equal([]);
      expect(labels(handle)[1]).to.equal(`new ${times}`);
      await one!.synchronize();
      expect(labels(handle)[0]).to.equal(`new ${times}`);
    }
    other.close();
  });

  it('look at an earlier state that has nothing new once only', async () => {
    const handle = await generate(all, 'old');
    await all.setAttributes(handle, [attribute(CKA.CKA_LABEL, 'both')]);
    await first.setAttributes(handle, [attribute(CKA.CKA_LABEL, 'later')]);
    const [one, two] = cluster.hsms;
    const asked = () => two!.commandCounts().find(([name]) => name === 'extractMaskedObject')?.[1] ?? 0;
    const before = asked();
    for (let rounds = 0; rounds < 3; rounds++) await one!.synchronize();
    expect(asked() - before).to.equal(1);
    expect(labels(handle)).to.deep.equal(['later', 'both', 'both']);
  });

  it('agree in the end, whatever was changed where and in whichever order they have met', async () => {
    const below = seeded(7);
    const clients = await Promise.all(
      cluster.hsms.map(async (hsm) => {
        const client = cluster.connect({ uses: (one) => one === hsm, keyAvailability: 'off' });
        await client.login('crypto_user', PASSWORD);
        return client;
      }),
    );
    const flags = [CKA.CKA_ENCRYPT, CKA.CKA_DECRYPT, CKA.CKA_WRAP];
    for (let keys = 0; keys < 20; keys++) {
      const handle = await generate(all, 'old');
      const last = new Map<number, boolean>();
      for (let steps = 0; steps < 12; steps++) {
        const at = below(3);
        const client = clients[at]!;
        if (below(4) === 0) await cluster.hsms[at]!.synchronize();
        else if (below(3) === 0) await client.setAttributes(handle, [attribute(CKA.CKA_LABEL, `${steps}`)]);
        else if (below(2) === 0) {
          // What only one of them changes is as that one had it last.
          last.set(flags[at]!, below(2) === 0);
          await client.setKeyAttribute(handle, attribute(flags[at]!, last.get(flags[at]!)!));
        } else await client[below(2) === 0 ? 'shareKey' : 'unshareKey'](handle, 'other_user');
      }
      for (let rounds = 0; rounds < 4; rounds++) await catchUp();
      expect(new Set(digests()).size).to.equal(1);
      const [one, ...others] = cluster.hsms.map((hsm) => hsm.objects.get(handle)!.object);
      for (const other of others) expect(other).to.deep.equal(one);
      for (const [type, value] of last)
        expect(one!.attributes.get(type)).to.deep.equal(Buffer.from([value ? 1 : 0]));
    }
    for (const client of clients) client.close();
  });

  it('agree on one of two changes that were made of the same attribute without knowing of each other', async () => {
    const handle = await generate(all, 'both');
    const other = await second();
    await first.setAttributes(handle, [attribute(CKA.CKA_LABEL, 'one')]);
    await other.setAttributes(handle, [attribute(CKA.CKA_LABEL, 'two')]);
    await catchUp();
    await catchUp();
    expect(new Set(labels(handle)).size).to.equal(1);
    expect(['one', 'two']).to.include(labels(handle)[0]);
  });

  it('get a thousand keys, and find nothing to do the next time', async () => {
    for (let count = 0; count < 1000; count++) await generate(first, `many-${count}`);
    await catchUp();
    expect(cluster.hsms.map((hsm) => hsm.objects.count)).to.deep.equal([1000, 1000, 1000]);
    expect(new Set(digests()).size).to.equal(1);
  });

  it('ask as HSMs: nobody who logged in with a password may', async () => {
    const [hsm] = cluster.hsms;
    for (const [name, role] of [
      ['crypto_user', 'CU'],
      ['admin', 'CO'],
    ] as const) {
      const connection = hsm!.connect();
      await connection.send('login', { name, password: PASSWORD, role });
      expect(await codeOf(() => connection.send('objectDigests', undefined))).to.equal(
        'CKR_USER_NOT_LOGGED_IN',
      );
    }
    // And an HSM does nothing that a user does.
    const peer = hsm!.connectPeer();
    expect(await codeOf(() => peer.send('findObjects', { template: [] }))).to.equal('CKR_USER_NOT_LOGGED_IN');
    const request = { handle: 65, attribute: attribute(CKA.CKA_LABEL, 'x') };
    expect(await codeOf(() => peer.send('setKeyAttribute', request))).to.equal('CKR_USER_NOT_LOGGED_IN');
  });
});
