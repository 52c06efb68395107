import { expect } from 'chai';
import type { ClientOptions, ClusterClient } from '../../src/cluster/cluster-client.js';
import { BUSY_TRIES, type Pause } from '../../src/cluster/pause.js';
import { CKA } from '../../src/pkcs11/attributes.js';
import { CKM } from '../../src/pkcs11/mechanisms.js';
import { attribute } from '../../src/pkcs11/template.js';
import { codeOf } from '../support/codes.js';
import { PASSWORD } from '../support/in-process.js';
import { NetworkCluster, until } from '../support/network.js';

const aes = (token: boolean) => [
  attribute(CKA.CKA_VALUE_LEN, 32),
  attribute(CKA.CKA_TOKEN, token),
  attribute(CKA.CKA_ENCRYPT, true),
];
const mechanism = { type: CKM.CKM_AES_ECB, parameter: undefined };

/** Reference 14.2. In one process and over the network: there commands are spread over the HSMs. */
for (const where of ['in this process', 'in other processes']) {
  describe(`a client of busy HSMs ${where}`, () => {
    let network: NetworkCluster;
    let waits: number[];
    /** What happens while the client waits. */
    let meanwhile: () => Promise<void>;
    const pause: Pause = {
      wait: async (timeMs) => {
        waits.push(timeMs);
        await meanwhile();
      },
      chance: () => 0.5,
    };

    beforeEach(async () => {
      network = await NetworkCluster.start({ hsms: 2 });
      waits = [];
      meanwhile = async () => undefined;
    });
    afterEach(() => network.close());

    async function connected(options: ClientOptions = {}): Promise<ClusterClient> {
      const cluster = where === 'in this process' ? network.cluster : await network.open();
      const client = cluster.connect({ pause, ...options });
      await until(() => client.up.length === 2);
      await client.login('crypto_user', PASSWORD);
      return client;
    }
    const busy = async (...at: number[]): Promise<void> => {
      for (const one of at) await network.cluster.hsms[one]!.fail('throttled');
    };
    const healed = async (...at: number[]): Promise<void> => {
      for (const one of at) await network.cluster.hsms[one]!.heal();
    };
    const encrypt = async (client: ClusterClient, handle: number) =>
      client.send('encrypt', { handle, mechanism, input: Buffer.alloc(16) });

    it('waits longer each time, with jitter, and gives up with the code and the text of CloudHSM', async () => {
      const client = await connected();
      const key = await client.generateKey(CKM.CKM_AES_KEY_GEN, aes(true));
      await busy(0, 1);
      const failure = await encrypt(client, key).catch((error: Error) => error);
      expect(failure)
        .to.be.instanceOf(Error)
        .with.property('message')
        .that.includes('Response Code: 187')
        .and.includes('This operation is already in progress. Internal error code: 0x000000BB');
      expect(failure).to.have.property('code', 'CKR_FUNCTION_FAILED');
      expect(waits)
        .to.deep.equal([100, 200, 400])
        .and.have.length(BUSY_TRIES - 1);
      client.close();
    });

    it('does not ask again with the retry mode off', async () => {
      const client = await connected({ retries: false });
      const key = await client.generateKey(CKM.CKM_AES_KEY_GEN, aes(true));
      await busy(0, 1);
      expect(await codeOf(() => encrypt(client, key))).to.equal('CKR_FUNCTION_FAILED');
      expect(waits).to.deep.equal([]);
      client.close();
    });

    it('succeeds when an HSM is no longer busy, also with what may not be done twice', async () => {
      const client = await connected();
      const key = await client.generateKey(CKM.CKM_AES_KEY_GEN, aes(true));
      await busy(0, 1);
      meanwhile = () => healed(0, 1);
      expect(await encrypt(client, key)).to.have.length(16);
      await busy(0, 1);
      await client.destroyObject(key);
      expect(waits).to.have.length(2);
      client.close();
    });

    it('uses another HSM for a token key, and never for a session key, which stays where it was made', async () => {
      const client = await connected();
      const token = await client.generateKey(CKM.CKM_AES_KEY_GEN, aes(true));
      await busy(0);
      for (let count = 0; count < 4; count++) await encrypt(client, token);
      expect(waits).to.deep.equal([]);
      meanwhile = () => healed(0);
      const made = await client.generateKey(CKM.CKM_AES_KEY_GEN, aes(false));
      expect(waits).to.deep.equal([100]);
      await encrypt(client, made);
      await busy(0);
      await encrypt(client, made);
      expect(waits).to.deep.equal([100, 100]);
      client.close();
    });

    it('does not take a busy HSM for one that lacks the key', async () => {
      const client = await connected();
      const other = await connected();
      const key = await other.generateKey(CKM.CKM_AES_KEY_GEN, aes(true));
      await busy(1);
      expect(await codeOf(() => client.requireAvailable(key))).to.equal('CKR_FUNCTION_FAILED');
      expect(waits).to.have.length(BUSY_TRIES - 1);
      meanwhile = () => healed(1);
      expect(await codeOf(() => client.requireAvailable(key))).to.equal('CKR_OK');
      client.close();
      other.close();
    });
  });
}
