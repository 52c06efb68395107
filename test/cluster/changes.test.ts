import { expect } from 'chai';
import { type Log, silentLog } from '../../src/base/log.js';
import type { ClusterClient } from '../../src/cluster/cluster-client.js';
import type { Fault } from '../../src/hsm/faults.js';
import type { Hsm } from '../../src/hsm/hsm.js';
import { CKA } from '../../src/pkcs11/attributes.js';
import { CKM } from '../../src/pkcs11/mechanisms.js';
import { attribute } from '../../src/pkcs11/template.js';
import { codeOf } from '../support/codes.js';
import { PASSWORD } from '../support/in-process.js';
import { NetworkCluster, until } from '../support/network.js';

const aes = [
  attribute(CKA.CKA_VALUE_LEN, 32),
  attribute(CKA.CKA_TOKEN, true),
  attribute(CKA.CKA_LABEL, 'old'),
];
const label = attribute(CKA.CKA_LABEL, 'new');

interface Change {
  make(client: ClusterClient, handle: number): Promise<void>;
  /** Whether an HSM has it. */
  isOn(hsm: Hsm, handle: number): boolean;
}

const isLabelled = (hsm: Hsm, handle: number): boolean =>
  hsm.objects.get(handle)?.object.attributes.get(CKA.CKA_LABEL)?.toString() === 'new';

const changes: Readonly<Record<string, Change>> = {
  'an attribute that C_SetAttributeValue sets': {
    make: async (client, handle) => client.setAttributes(handle, [label]),
    isOn: isLabelled,
  },
  'an attribute that the tools set': {
    make: async (client, handle) => client.setKeyAttribute(handle, label),
    isOn: isLabelled,
  },
  'a share': {
    make: (client, handle) => client.shareKey(handle, 'other_user'),
    isOn: (hsm, handle) => hsm.objects.get(handle)?.object.sharedWith.length === 1,
  },
  'a destruction': {
    make: async (client, handle) => client.destroyObject(handle),
    isOn: (hsm, handle) => hsm.objects.get(handle) === undefined,
  },
};

/** Why an HSM cannot do what others do, and what it answers. */
const failures: readonly [Fault, string][] = [
  ['full-disk', 'CKR_DEVICE_MEMORY'],
  ['read-only-disk', 'CKR_TOKEN_WRITE_PROTECTED'],
  ['throttled', 'CKR_FUNCTION_FAILED'],
];

for (const where of ['in this process', 'elsewhere'])
  describe(`a change that an HSM refuses, with HSMs ${where}`, function () {
    this.timeout(30_000);
    let network: NetworkCluster;
    let client: ClusterClient;
    let warned: string[];

    beforeEach(async () => {
      network = await NetworkCluster.start({ hsms: 2 });
      const cluster = where === 'elsewhere' ? await network.open() : network.cluster;
      warned = [];
      const warn = ({ hsm }: { hsm: string }, text: string) => void warned.push(`${hsm} ${text}`);
      const log = { ...silentLog, warn } as unknown as Log;
      const pause = { wait: async () => undefined, chance: () => 0 };
      client = cluster.connect({ keyAvailability: 'off', pause, log });
      await until(() => client.up.length === 2);
      await client.login('crypto_user', PASSWORD);
    });

    afterEach(async () => {
      client.close();
      await network.close();
    });

    const hsms = (): readonly Hsm[] => network.cluster.hsms;
    const digests = () => new Set(hsms().map(({ objects }) => objects.versions.digests().toString('hex')));
    const healed = async (): Promise<void> => {
      for (const hsm of hsms()) await hsm.heal();
      for (const hsm of hsms()) await hsm.synchronize();
      expect(digests().size).to.equal(1);
    };

    it('fails if an HSM refuses it by its rules, although another one has done it', async () => {
      for (const [name, { make }] of Object.entries(changes)) {
        if (name === 'a share' || name === 'a destruction') continue;
        for (const hsm of hsms()) {
          const handle = await client.generateKey(CKM.CKM_AES_KEY_GEN, aes);
          await hsm.objects.change(handle, ({ attributes }) => ({
            attributes: new Map(attributes).set(CKA.CKA_MODIFIABLE, Buffer.from([0])),
          }));
          expect(await codeOf(() => make(client, handle))).to.equal('CKR_ACTION_PROHIBITED');
        }
      }
      expect(warned).to.deep.equal([]);
    });

    it('fails while an HSM is in limited-write mode, whose backup would miss it', async () => {
      for (const { make } of Object.values(changes))
        for (const hsm of hsms()) {
          const handle = await client.generateKey(CKM.CKM_AES_KEY_GEN, aes);
          await hsm.limitWrites(true);
          expect(await codeOf(() => make(client, handle))).to.equal('CKR_TOKEN_WRITE_PROTECTED');
          await hsm.limitWrites(false);
        }
      expect(warned).to.deep.equal([]);
    });

    for (const [name, { make, isOn }] of Object.entries(changes))
      for (const [fault, code] of failures)
        it(`is done where another one has done it, and fails where none has: ${name}, ${fault}`, async () => {
          const handle = await client.generateKey(CKM.CKM_AES_KEY_GEN, aes);
          for (const hsm of hsms()) await hsm.fail(fault);
          expect(await codeOf(() => make(client, handle))).to.equal(code);
          await healed();
          for (const hsm of hsms()) expect(isOn(hsm, handle)).to.equal(false);

          for (const failing of hsms()) {
            const one = await client.generateKey(CKM.CKM_AES_KEY_GEN, aes);
            await failing.fail(fault);
            const answer = await codeOf(() => make(client, one));
            // A home that is busy is not even asked for more than where the key is.
            const isBusyHome = fault === 'throttled' && failing === hsms()[0] && name !== 'a share';
            expect(answer).to.equal(isBusyHome ? code : 'CKR_OK');
            const warning = `${failing.settings.id} has not done what other HSMs did`;
            expect(warned.splice(0).join()).to[isBusyHome ? 'equal' : 'include'](isBusyHome ? '' : warning);
            await healed();
            for (const hsm of hsms()) expect(isOn(hsm, one)).to.equal(!isBusyHome);
          }
        });
  });
