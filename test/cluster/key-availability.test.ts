import { expect } from 'chai';
import type { Cluster } from '../../src/cluster/cluster.js';
import type { ClusterClient } from '../../src/cluster/cluster-client.js';
import type { KeyAvailability } from '../../src/cluster/key-availability.js';
import type { Hsm } from '../../src/hsm/hsm.js';
import { CKA } from '../../src/pkcs11/attributes.js';
import { CKC, CKK, CKO } from '../../src/pkcs11/constants.js';
import { CKM } from '../../src/pkcs11/mechanisms.js';
import { attribute, type Template } from '../../src/pkcs11/template.js';
import { codeOf } from '../support/codes.js';
import { memoryCluster, PASSWORD } from '../support/in-process.js';

const aes = (token: boolean): Template => [
  attribute(CKA.CKA_VALUE_LEN, 32),
  attribute(CKA.CKA_TOKEN, token),
  attribute(CKA.CKA_ENCRYPT, true),
];

/** Reference 14.1 */
describe('the key availability check', () => {
  async function loggedIn(
    cluster: Cluster,
    keyAvailability?: KeyAvailability,
    uses?: (hsm: Hsm) => boolean,
  ): Promise<ClusterClient> {
    const client = cluster.connect({
      ...(keyAvailability !== undefined && { keyAvailability }),
      ...(uses !== undefined && { uses }),
    });
    await client.login('crypto_user', PASSWORD);
    return client;
  }
  const describeKey = (client: ClusterClient, handle: number) =>
    client.describeKey({ handle, use: 'encrypt', mechanism: CKM.CKM_AES_ECB, keyTypes: [CKK.CKK_AES] });
  const found = (client: ClusterClient) => client.findObjects([]);
  const message =
    /^Key \d+ does not meet the availability requirements - The key must be available on at least 2 HSMs before being used\.$/;

  async function refusal(attempt: () => unknown): Promise<string> {
    try {
      await attempt();
    } catch (error) {
      return (error as Error).message;
    }
    return 'nothing was refused';
  }

  it('refuses to make token keys with one HSM, and leaves nothing behind', async () => {
    const client = await loggedIn(await memoryCluster({ hsms: 1 }));
    const pair = (publicToken: boolean, privateToken: boolean) =>
      client.generateKeyPair(
        CKM.CKM_EC_KEY_PAIR_GEN,
        [
          attribute(CKA.CKA_EC_PARAMS, Buffer.from('06082a8648ce3d030107', 'hex')),
          attribute(CKA.CKA_TOKEN, publicToken),
        ],
        [attribute(CKA.CKA_TOKEN, privateToken)],
      );
    for (const attempt of [
      () => client.generateKey(CKM.CKM_AES_KEY_GEN, aes(true)),
      () => pair(true, true),
      () => pair(false, true),
      () => pair(true, false),
    ]) {
      expect(await codeOf(attempt)).to.equal('CKR_FUNCTION_FAILED');
      expect(await refusal(attempt)).to.match(message);
      expect(await found(client)).to.deep.equal([]);
    }
  });

  it('is not asked for session keys and certificates', async () => {
    const client = await loggedIn(await memoryCluster({ hsms: 1 }));
    const key = await client.generateKey(CKM.CKM_AES_KEY_GEN, aes(false));
    expect(await describeKey(client, key)).to.include({ bits: 256, token: false });
    await client.createObject([
      attribute(CKA.CKA_CLASS, CKO.CKO_CERTIFICATE),
      attribute(CKA.CKA_CERTIFICATE_TYPE, CKC.CKC_X_509),
      attribute(CKA.CKA_TOKEN, true),
      attribute(CKA.CKA_SUBJECT, Buffer.from('subject')),
      attribute(CKA.CKA_VALUE, Buffer.from('certificate')),
    ]);
  });

  it('refuses the use of a token key that is on one HSM only, until it is on two', async () => {
    const cluster = await memoryCluster({ hsms: 3 });
    const alone = await loggedIn(cluster, 'off', (hsm) => hsm.settings.ordinal === 1);
    const all = await loggedIn(cluster);
    const lonely = await alone.generateKey(CKM.CKM_AES_KEY_GEN, aes(true));
    expect(await refusal(() => describeKey(all, lonely)))
      .to.match(message)
      .and.include(` ${lonely} `);
    expect(await codeOf(() => describeKey(all, lonely))).to.equal('CKR_FUNCTION_FAILED');
    expect(await refusal(() => all.requireAvailable(lonely))).to.match(message);
    expect(await codeOf(() => all.requireAvailable(lonely + 12_345))).to.equal('CKR_OK');
    const two = await loggedIn(cluster, 'off', (hsm) => hsm.settings.ordinal !== 2);
    const kept = await two.generateKey(CKM.CKM_AES_KEY_GEN, aes(true));
    expect(await codeOf(() => describeKey(all, kept))).to.equal('CKR_OK');
  });

  /** A program's calls go on while a cluster's HSMs are exchanged: each is in use by the time another one is told to go. */
  async function exchanged(cluster: Cluster, coming: Hsm, leaving: Hsm): Promise<void> {
    await cluster.add(coming);
    await cluster.remove(leaving.settings.id);
  }

  it('waits for an HSM that has just come, when another one goes', async () => {
    const cluster = await memoryCluster({ hsms: 3 });
    const [first, , third] = cluster.hsms as [Hsm, Hsm, Hsm];
    await cluster.remove(third.settings.id);
    const client = await loggedIn(cluster);
    const before = await client.generateKey(CKM.CKM_AES_KEY_GEN, aes(true));
    const other = await loggedIn(cluster);
    await exchanged(cluster, third, first);
    expect(client.up).to.deep.equal(['hsm-2']);
    const [after] = await Promise.all([
      client.generateKey(CKM.CKM_AES_KEY_GEN, aes(true)),
      describeKey(other, before),
    ]);
    for (const hsm of cluster.hsms) for (const key of [before, after]) expect(hsm.objects.get(key)).to.exist;
    await exchanged(cluster, first, cluster.hsms[0]!);
    await describeKey(await loggedIn(cluster), after);
  });

  it('asks an HSM that is back at once, when another one goes', async () => {
    const cluster = await memoryCluster({ hsms: 3 });
    const [first, second, third] = cluster.hsms as [Hsm, Hsm, Hsm];
    const client = await loggedIn(cluster);
    for (const hsm of [first, third]) await hsm.fail('unreachable');
    await codeOf(() => client.generateKey(CKM.CKM_AES_KEY_GEN, aes(true)));
    expect(client.up).to.deep.equal([second.settings.id]);
    await first.heal();
    const key = await client.generateKey(CKM.CKM_AES_KEY_GEN, aes(true));
    for (const hsm of [first, second]) expect(hsm.objects.get(key)).to.exist;
  });

  it('looks again for HSMs when one goes while it takes the key', async () => {
    const cluster = await memoryCluster({ hsms: 3 });
    const [first, , third] = cluster.hsms as [Hsm, Hsm, Hsm];
    await cluster.remove(third.settings.id);
    const client = await loggedIn(cluster);
    const made = client.generateKey(CKM.CKM_AES_KEY_GEN, aes(true));
    await exchanged(cluster, third, first);
    await describeKey(await loggedIn(cluster), await made);
  });

  it('is off by its switch, and asks who decides only where a key is refused', async () => {
    const cluster = await memoryCluster({ hsms: 1 });
    const off = await loggedIn(cluster, 'off');
    const key = await off.generateKey(CKM.CKM_AES_KEY_GEN, aes(true));
    expect(await codeOf(() => describeKey(off, key))).to.equal('CKR_OK');
    let asked = 0;
    let answer = true;
    const unless = (): boolean => {
      asked++;
      return answer;
    };
    const deciding = await loggedIn(cluster, { unless });
    await describeKey(deciding, key);
    await deciding.generateKey(CKM.CKM_AES_KEY_GEN, aes(true));
    expect(asked).to.equal(2);
    answer = false;
    expect(await codeOf(() => describeKey(deciding, key))).to.equal('CKR_FUNCTION_FAILED');
    await (await loggedIn(await memoryCluster(), { unless })).generateKey(CKM.CKM_AES_KEY_GEN, aes(true));
    expect(asked).to.equal(3);
  });
});
