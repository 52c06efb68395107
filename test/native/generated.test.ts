import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import { generatedFiles, generatedFolder } from '../../src/wire/generate/files.js';
import { projectRoot } from './build-native.js';

describe('generated C files', () => {
  for (const [name, text] of Object.entries(generatedFiles())) {
    it(`${name} is what the tables say`, () => {
      const stored = readFileSync(`${projectRoot}${generatedFolder}/${name}`, 'utf8');
      expect(stored === text, `${generatedFolder}/${name} is stale: npm run generate`).to.equal(true);
    });
  }
});
