import { expect } from 'chai';
import type { ClusterClient } from '../../src/cluster/cluster-client.js';
import { CKA } from '../../src/pkcs11/attributes.js';
import { CKM } from '../../src/pkcs11/mechanisms.js';
import { attribute } from '../../src/pkcs11/template.js';
import { PASSWORD } from '../support/in-process.js';
import { NetworkCluster, until } from '../support/network.js';

const aes = [
  attribute(CKA.CKA_VALUE_LEN, 32),
  attribute(CKA.CKA_TOKEN, true),
  attribute(CKA.CKA_LABEL, 'old'),
];

describe('a key that an HSM which comes back is just getting from another', function () {
  this.timeout(30_000);
  let network: NetworkCluster;
  let client: ClusterClient;
  let handle: number;
  /** Lets it have the key. */
  let give: () => void;

  beforeEach(async () => {
    network = await NetworkCluster.start({ hsms: 3 });
    client = (await network.open()).connect({ keyAvailability: 'off' });
    await until(() => client.up.length === 3);
    await client.login('crypto_user', PASSWORD);
    const late = network.cluster.hsms[0]!;
    await network.cutOff(late.settings.id);
    await until(() => client.up.length === 2);
    handle = await client.generateKey(CKM.CKM_AES_KEY_GEN, aes);

    const { objects } = late;
    const { adopt } = objects;
    const given = new Promise<void>((resolve) => {
      give = resolve;
    });
    let isOnItsWay = false;
    objects.adopt = async (object) => {
      isOnItsWay = true;
      await given;
      return adopt.call(objects, object);
    };
    await network.comeBack(late.settings.id);
    await until(() => isOnItsWay);
  });

  afterEach(async () => {
    give();
    client.close();
    await network.close();
  });

  const onEach = () => network.cluster.hsms.map(({ objects }) => objects.get(handle)?.object);

  it('is not there any more when it was destroyed meanwhile', async () => {
    const destroying = client.destroyObject(handle);
    await until(() => onEach()[1] === undefined && onEach()[2] === undefined);
    give();
    await destroying;
    expect(onEach()).to.deep.equal([undefined, undefined, undefined]);
    await until(() => client.up.length === 3);
    expect(onEach()).to.deep.equal([undefined, undefined, undefined]);
  });

  it('is there as it was changed meanwhile', async () => {
    const changing = client.setAttributes(handle, [attribute(CKA.CKA_LABEL, 'new')]);
    const labels = () => onEach().map((object) => object?.attributes.get(CKA.CKA_LABEL)?.toString());
    await until(() => labels()[1] === 'new' && labels()[2] === 'new');
    give();
    await changing;
    await until(() => client.up.length === 3);
    expect(labels()).to.deep.equal(['new', 'new', 'new']);
  });
});
