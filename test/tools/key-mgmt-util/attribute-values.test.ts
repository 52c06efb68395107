import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import { typeToKeyTool } from '../../support/key-tool.js';
import { NetworkCluster } from '../../support/network.js';
import { TestPrefix } from '../../support/prefix.js';

const uses = ['ENCRYPT', 'DECRYPT', 'WRAP', 'UNWRAP', 'SIGN', 'VERIFY', 'DERIVE'];
const always = ['TOKEN', 'PRIVATE', 'EXTRACTABLE', 'LOCAL', 'DESTROYABLE'];

/** Reference management-tools, section 5.4, "Defaults seen", and the guide's sample of genECCKeyPair; of generic secrets the
 * tip of genSymKey: "to use the keys for HMAC operations, you must set OBJ_ATTR_SIGN and OBJ_ATTR_VERIFY". By command the uses of the
 * keys it makes: of a secret key, or of a public and of a private one. */
const made: Readonly<Record<string, readonly (readonly string[])[]>> = {
  'genSymKey -t 31 -s 32': [['ENCRYPT', 'DECRYPT', 'WRAP', 'UNWRAP']],
  'genSymKey -t 16 -s 20': [[]],
  'genRSAKeyPair -m 2048 -e 65537': [
    ['ENCRYPT', 'WRAP', 'VERIFY'],
    ['DECRYPT', 'UNWRAP', 'SIGN'],
  ],
  'genECCKeyPair -i 2': [['VERIFY'], ['SIGN']],
};

describe('keys that key_mgmt_util makes', () => {
  let network: NetworkCluster;
  let prefix: TestPrefix;

  before(async () => {
    network = await NetworkCluster.start({ hsms: 1, hsmType: 'hsm1.medium', profile: 'strict' });
    prefix = new TestPrefix(network.endpoints, network.client);
  });

  after(async () => {
    await network.close();
    prefix.remove();
  });

  const type = (...lines: readonly string[]): Promise<string> => typeToKeyTool(prefix, ...lines);

  for (const [command, kinds] of Object.entries(made)) {
    it(`may do what the documents show, and no more: ${command}`, async () => {
      const printed = await type(`${command} -l made`);
      const handles = [...printed.matchAll(/key handle: (\d+)/gi)].map(([, handle]) => handle!);
      expect(handles, printed).to.have.length(kinds.length);
      for (const [at, handle] of handles.entries()) {
        const file = prefix.path(`attr_${handle}`);
        await type(`getAttribute -o ${handle} -a 512 -out ${file}`);
        const lines = readFileSync(file, 'utf8').split('\n');
        const isSet = (name: string): boolean => lines[lines.indexOf(`OBJ_ATTR_${name}`) + 1] === '0x01';
        expect(uses.filter(isSet)).to.have.members([...kinds[at]!]);
        expect(always.filter(isSet)).to.have.members(
          kinds.length > 1 && at === 0 ? always.filter((name) => name !== 'EXTRACTABLE') : always,
        );
      }
    });
  }
});
