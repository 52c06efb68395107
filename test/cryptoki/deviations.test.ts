import { rmSync } from 'node:fs';
import { expect } from 'chai';
import type { ReadinessReport } from '../../src/cli/report.js';
import {
  type CallDeviationId,
  callDeviationIds,
  callDeviations as deviations,
} from '../../src/objects/deviations.js';
import { CKA } from '../../src/pkcs11/attributes.js';
import { CKR } from '../../src/pkcs11/ckr.js';
import { find, type Scene, type Stage, scenes } from '../support/deviation-scenes.js';
import { cloudhsmLocal, TestEngine } from '../support/engine.js';
import { expectCkr, TestModule } from '../support/module.js';

/*
 * Every row of src/objects/deviations.ts: the compatible profile allows and reports it, the strict one answers as the row says.
 * Both work on one home, so that the strict one also meets what the compatible one has let in.
 */
for (const hsms of [2, 1])
  describe(`deviations in a cluster of ${hsms}`, () => {
    const ids = callDeviationIds.filter((id) => (scenes[id].hsms ?? 2) === hsms);
    let engine: TestEngine;
    let module: TestModule;
    let session: Buffer;

    const open = (): void => {
      module = new TestModule(engine);
      session = module.openLoggedIn();
    };

    before(async () => {
      engine = await TestEngine.start(['--hsms', String(hsms)]);
      open();
    });

    after(async () => {
      module?.close();
      await engine?.stop();
    });

    const labelOf = (id: CallDeviationId) => ({ type: CKA.CKA_LABEL, value: `scene ${id}` });

    /** The stage of a scene, with the key it is about if it has one. */
    function stageOf(id: CallDeviationId): Stage {
      const label = [labelOf(id)];
      const key = find(module, session, label).at(-1) ?? Buffer.alloc(8);
      return { module, session, key, label };
    }

    const reported = async (): Promise<ReadinessReport> =>
      JSON.parse((await cloudhsmLocal(['report', '--home', engine.home, '--json'])).stdout);

    function expectAnswer({ compatible = 'CKR_OK' }: Scene, act: () => unknown): void {
      if (compatible === 'CKR_OK') act();
      else expectCkr(CKR[compatible], act);
    }

    describe('in the compatible profile', () => {
      for (const id of ids) {
        it(`a program that ${deviations[id].does} may, and finds it in the report`, async () => {
          const scene = scenes[id];
          scene.prepare?.(module, session, [labelOf(id), { type: CKA.CKA_TOKEN, value: true }]);
          const stage = stageOf(id);
          await cloudhsmLocal(['report', '--home', engine.home, '--clear']);
          expectAnswer(scene, () => scene.act(stage));
          const { deviations: lines } = await reported();
          expect(lines).to.have.length(1);
          expect(lines[0]).to.include({ id, call: scene.call, cloudhsm: deviations[id].answer });
          expect(lines[0]!.count).to.be.greaterThan(0);
        });
      }
    });

    describe('in the strict profile', () => {
      before(async () => {
        module.close();
        await engine.kill();
        const { home } = engine;
        await cloudhsmLocal(['report', '--home', home, '--clear']);
        engine = await TestEngine.start(['--profile', 'strict'], home);
        open();
      });

      after(() => {
        rmSync(engine.home, { recursive: true, force: true });
      });

      for (const id of ids) {
        const { does, answer } = deviations[id];
        it(`a program that ${does} gets ${answer}`, () => {
          const { act, sameAsCloudHsm } = scenes[id];
          const stage = stageOf(id);
          if (answer !== 'CKR_OK') expectCkr(CKR[answer], () => act(stage));
          else expect(sameAsCloudHsm?.(act(stage))).to.equal(true);
        });
      }

      it('nothing of it is in the report', async () => {
        expect(await reported()).to.deep.equal({ profile: 'strict', deviations: [] });
      });
    });
  });
