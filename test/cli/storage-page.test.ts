import { readFileSync } from 'node:fs';
import { join, relative, sep } from 'node:path';
import { expect } from 'chai';
import { findHome } from '../../src/cli/home.js';
import { projectRoot } from '../support/engine.js';

describe('docs/STORAGE.md', () => {
  const page = readFileSync(join(projectRoot, 'docs', 'STORAGE.md'), 'utf8');
  const [, tree = ''] = /^```\n(<home>.*?)^```/ms.exec(page) ?? [];

  it('draws every file and folder that a home has a name for', () => {
    const home = findHome('/home');
    const paths = Object.values(home).flatMap((value) =>
      typeof value === 'string' ? [value] : Object.values(value as Record<string, string>),
    );
    const names = new Set(paths.flatMap((path) => relative(home.directory, path).split(sep)));
    expect([...names].filter((name) => !tree.includes(name))).to.deep.equal([]);
  });
});
