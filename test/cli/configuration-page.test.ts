import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { configSchema } from '../../src/base/config.js';
import { faultKinds } from '../../src/hsm/faults.js';
import { readDaemonConfig, readSdk5Clusters } from '../../src/tools/connection/cluster-access.js';
import { confFolder, projectRoot } from '../support/engine.js';

const page = readFileSync(join(projectRoot, 'docs', 'CONFIGURATION.md'), 'utf8');

describe('docs/CONFIGURATION.md', () => {
  it('has a row for every setting, and no other', () => {
    const section = page.slice(page.indexOf('## Settings'), page.indexOf('## Where a client'));
    const names = [...section.matchAll(/^\| `(\w+)`/gm)].map(([, name]) => name);
    expect(names).to.have.members(Object.keys(configSchema.shape));
  });

  it("has samples of both of CloudHSM's files, which say what it says", () => {
    const [sdk5] = readSdk5Clusters(join(confFolder, 'cloudhsm-pkcs11.cfg'));
    const sdk3 = readDaemonConfig(join(confFolder, 'cloudhsm_client.cfg'));
    expect(sdk3.servers).to.deep.equal(sdk5!.servers);
    expect(sdk3.identity.trustAnchor).to.equal(sdk5!.identity.trustAnchor);
    expect(sdk3.minimumNodes).to.equal(1);
  });

  it('knows the faults by the names that the README has', () => {
    const readme = readFileSync(join(projectRoot, 'README.md'), 'utf8');
    for (const kind of faultKinds) expect(readme).to.contain(`\`${kind}\``);
  });
});
