import { writeFileSync } from 'node:fs';
import { expect } from 'chai';
import type { ReadinessReport } from '../../src/cli/report.js';
import { type DeviationId, deviations, isDeviationId } from '../../src/objects/deviations.js';
import { CKR } from '../../src/pkcs11/ckr.js';
import {
  type ClientResult,
  committedResults,
  compatibilityPage,
  pageFile,
  resultsFile,
} from '../support/compatibility-page.js';
import { cloudhsmLocal, TestEngine } from '../support/engine.js';
import { actions, needsAllClients, Workshop } from './profiles/clients.js';

/*
 * Each client in both profiles, on one home. In the compatible one it works, and what CloudHSM would refuse is in the report; in
 * the strict one it works too, or the first refusal is a row's. The committed results are the tables of docs/COMPATIBILITY.md;
 * `npm run compatibility` writes both anew.
 */
describe('clients in both profiles', function () {
  this.timeout(240_000);

  let workshop: Workshop;
  const results: ClientResult[] = [];
  const rewrites = process.env['REWRITE_COMPATIBILITY'] === '1';

  before(async function () {
    needsAllClients(this);
    workshop = new Workshop(await TestEngine.start(), '01');
    await workshop.prepare();
  });

  after(async () => {
    await workshop?.engine.stop();
    workshop?.remove();
  });

  const report = (...options: string[]) =>
    cloudhsmLocal(['report', '--home', workshop.engine.home, ...options]);

  describe('compatible', () => {
    for (const { client, does, run } of actions) {
      it(`${client} ${does}`, async () => {
        await report('--clear');
        expect(await run(workshop), workshop.engine.log.slice(-2000)).to.equal(true);
        const lines = (JSON.parse((await report('--json')).stdout) as ReadinessReport).deviations;
        const ids = new Set(lines.filter(({ advisory }) => !advisory).map(({ id }) => id));
        results.push({ client, does, deviations: [...ids], refused: null });
      });
    }
  });

  describe('strict', () => {
    before(async () => {
      const { engine } = workshop;
      await engine.kill();
      workshop.engine = await TestEngine.start(['--profile', 'strict'], engine.home);
      workshop.suffix = '02';
    });

    for (const [at, { client, does, run }] of actions.entries()) {
      it(`${client} ${does}`, async () => {
        const from = workshop.engine.log.length;
        const works = await run(workshop);
        const refusals = refusalsIn(workshop.engine.log.slice(from));
        const result = results[at]!;
        if (works) {
          // It may have got along without what was refused.
          return;
        }
        expect(refusals, workshop.engine.log.slice(from)).not.to.deep.equal([]);
        result.refused = refusals.at(-1)!;
        expect(result.refused.code).to.equal(deviations[result.refused.deviation].answer);
        expect(result.deviations, 'the report has foretold it').to.include(result.refused.deviation);
      });
    }

    it('is what docs/COMPATIBILITY.md says', () => {
      if (rewrites) {
        writeFileSync(resultsFile, `${JSON.stringify(results, null, 2)}\n`);
        writeFileSync(pageFile, compatibilityPage(results));
      }
      expect(results, 'npm run compatibility writes it anew').to.deep.equal(committedResults());
    });
  });
});

/** The deviations that the engine refused, by its log. */
function refusalsIn(log: string): { call: string; code: string; deviation: DeviationId }[] {
  return log.split('\n').flatMap((line) => {
    const match = /(C_\w+) failed, returning 0x([0-9a-f]{8}): .*\((\S+)\)\. /.exec(line);
    const deviation = match?.[3] ?? '';
    if (match === null || !isDeviationId(deviation)) return [];
    const number = Number.parseInt(match[2]!, 16);
    const code = Object.entries(CKR).find(([, value]) => value === number)![0];
    return [{ call: match[1]!, code, deviation }];
  });
}
