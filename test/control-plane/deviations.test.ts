import { expect } from 'chai';
import { type ApiDeviationId, apiDeviationIds, apiDeviations } from '../../src/objects/deviations.js';
import { ApiServer } from '../support/api-server.js';
import { subnets, TestedControlPlane } from '../support/control-plane.js';

interface ApiScene {
  readonly operation: string;
  readonly body: object;
  /** What another client asks for, and is refused in any profile. */
  readonly alsoWrong: object;
}

/** THE scene per deviation of the API: the compiler asks for one wherever a row is added. */
const scenes: { readonly [Id in ApiDeviationId]: ApiScene } = {
  'hsm1-cluster': {
    operation: 'CreateCluster',
    body: { HsmType: 'hsm1.medium', SubnetIds: [...subnets] },
    alsoWrong: { HsmType: 'hsm1.medium', SubnetIds: [...subnets], NetworkType: 'DUALSTACK' },
  },
};

describe('deviations of the API', () => {
  let api: TestedControlPlane;
  let server: ApiServer;

  const open = async (profile: TestedControlPlane['profile']): Promise<void> => {
    api = new TestedControlPlane();
    api.profile = profile;
    await api.open();
    server = await ApiServer.start(api.controlPlane);
  };
  afterEach(async () => {
    await server.close();
    await api.controlPlane.close();
  });
  const send = (target: string, body: object, program = 'aws-cli/2.17.0 md/awscrt#0.20.11') =>
    server.send({ target, body, headers: { 'user-agent': program } });

  for (const id of apiDeviationIds) {
    const { does, answer, words } = apiDeviations[id];
    const { operation, body, alsoWrong } = scenes[id];

    it(`in the compatible profile, who ${does} may, and is in the report`, async () => {
      await open('compatible');
      expect((await send(operation, body)).status).to.equal(200);
      await send(operation, body, 'APN/1.0 HashiCorp/1.0 Terraform/1.9.5 (+https://www.terraform.io)');
      expect(api.deviated).to.deep.equal([
        [id, operation, 'aws-cli'],
        [id, operation, 'Terraform'],
      ]);
    });

    it('nothing is reported of a request that is refused all the same', async () => {
      await open('compatible');
      expect((await send(operation, alsoWrong)).status).to.equal(400);
      expect(api.deviated).to.deep.equal([]);
    });

    it(`in the strict profile, who ${does} is answered as by AWS`, async () => {
      await open('strict');
      const { status, body: refusal } = await send(operation, body);
      expect(status).to.equal(400);
      expect(refusal).to.deep.equal({ __type: answer, Message: words });
      expect(api.deviated).to.deep.equal([]);
    });
  }
});
