import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import { deviations } from '../src/objects/deviations.js';
import { committedResults, compatibilityPage, pageFile } from './support/compatibility-page.js';

describe('docs/COMPATIBILITY.md', () => {
  const results = committedResults();

  it('is made of the deviation rows and of what clients were seen to do', () => {
    expect(readFileSync(pageFile, 'utf8'), 'run npm run compatibility').to.equal(compatibilityPage(results));
  });

  it('has for each refusal the code of its row, and a report that foretold it', () => {
    for (const { client, does, deviations: used, refused } of results) {
      if (refused === null) continue;
      expect(refused.code, `${client} ${does}`).to.equal(deviations[refused.deviation].answer);
      expect(used, `${client} ${does}`).to.include(refused.deviation);
    }
  });
});
