import { expect } from 'chai';
import { loadConfig } from '../../src/base/config.js';

describe('the settings of an engine', () => {
  // Reference, "Tags": "hsm1.medium, always FIPS mode".
  it('name no cluster that there is not', () => {
    expect(() => loadConfig(undefined, { hsmType: 'hsm1.medium', mode: 'NON_FIPS' }))
      .to.throw('hsm1.medium is always in FIPS mode')
      .with.property('code', 'BAD_CONFIGURATION');
    expect(loadConfig(undefined, { hsmType: 'hsm1.medium' }).config.mode).to.equal('FIPS');
  });
});
