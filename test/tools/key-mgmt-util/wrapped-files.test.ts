import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { expect } from 'chai';
import { typeToKeyTool } from '../../support/key-tool.js';
import { generateAes } from '../../support/managed.js';
import { NetworkCluster } from '../../support/network.js';
import { TestPrefix } from '../../support/prefix.js';

describe('what key_mgmt_util wraps', () => {
  let network: NetworkCluster;
  let prefix: TestPrefix;
  let wrapping: number;

  before(async () => {
    network = await NetworkCluster.start({ hsms: 1 });
    prefix = new TestPrefix(network.endpoints, network.client);
    wrapping = await generateAes(network, 'wrapping', true);
  });

  after(async () => {
    await network.close();
    prefix.remove();
  });

  const type = (...lines: readonly string[]): Promise<string> => typeToKeyTool(prefix, ...lines);

  it('can be unwrapped again, also when it is of the greatest length', async () => {
    const made = await type('genSymKey -t 31 -s 32 -l w');
    const [, handle] = /Key Handle: (\d+)/.exec(made)!;
    const [data, wrapped, back] = ['data', 'wrapped', 'back'].map((name) => prefix.path(name)) as [
      string,
      string,
      string,
    ];
    writeFileSync(data, Buffer.alloc(4095, 7));
    await type(
      `aesWrapUnwrap -m 1 -f ${data} -w ${handle} -out ${wrapped}`,
      `aesWrapUnwrap -m 0 -f ${wrapped} -w ${handle} -out ${back}`,
    );
    expect(readFileSync(back).equals(readFileSync(data))).to.equal(true);
    writeFileSync(data, Buffer.alloc(4096));
    expect(await type(`aesWrapUnwrap -m 1 -f ${data} -w ${handle}`)).to.contain('may have 4095');
  });

  it('is not written over its IV', async () => {
    const file = prefix.path('same');
    const words = `wrapKey -k ${wrapping} -w ${wrapping} -m 10 -noheader`;
    const printed = await type(`${words} -iv_file ${file} -out ${prefix.path('etc/../same')}`);
    expect(printed).to.contain('the same file');
    expect(existsSync(file)).to.equal(false);
  });
});
