import { expect } from 'chai';
import { codeOf } from '../support/codes.js';
import { HostedControlPlane } from '../support/hosted-control-plane.js';
import { PASSWORD } from '../support/in-process.js';

describe('an HSM that goes', () => {
  it('has in its last backup what was under way, if somebody was told that it is done', async () => {
    const api = await new HostedControlPlane().open();
    const id = await api.usedCluster(1);
    const [{ HsmId }] = (await api.cluster(id)).Hsms as [{ HsmId: string }];
    const admin = await api.officer(id, HsmId);
    const creating = codeOf(() => admin.send('createUser', { name: 'late', role: 'CU', password: PASSWORD }));
    await api.call('DeleteHsm', { ClusterId: id, HsmId });
    await api.settle();
    expect(await creating).to.equal('CKR_OK');
    expect((await api.cluster(id)).Hsms).to.deep.equal([]);
    await api.newHsm(id);
    await api.settle();
    const names = api
      .clusterOf(id)
      .hsms[0]!.users.list()
      .map(({ name }) => name);
    expect(names).to.include('late');
    await api.close();
  });
});
