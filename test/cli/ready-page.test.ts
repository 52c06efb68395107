import { expect } from 'chai';
import { findHome } from '../../src/cli/home.js';
import { readyPage } from '../../src/cli/ready-page.js';
import type { EngineStatus } from '../../src/cli/status.js';

describe('the page after a start', () => {
  const home = findHome('/home/of/it');
  const page = (...addresses: (string | null)[]): string => {
    const hsms = addresses.map((eniIp, at) => ({ id: `hsm-${at + 1}`, eniIp }));
    const cluster = { id: 'cluster-1', hsmType: 'hsm2m.medium', mode: 'FIPS', hsms };
    return readyPage(home, { profile: 'strict', clusters: [cluster] } as unknown as EngineStatus);
  };

  it('names the HSMs that listen on no address', () => {
    expect(page('127.0.0.10', null, null)).to.contain(
      "warning: CloudHSM's tools and clients elsewhere do not reach hsm-2, hsm-3: /home/of/it/logs/engine.log says why\n",
    );
  });

  it('warns of nothing where all listen', () => {
    expect(page('127.0.0.10', '127.0.0.11')).to.contain('cluster-1: 2 ×').and.not.to.contain('warning');
  });
});
