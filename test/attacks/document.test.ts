import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import ts from 'typescript';
import { projectRoot } from '../support/engine.js';

/** The table's last column: names of tests, in quotation marks. */
const documented = [
  ...readFileSync(join(projectRoot, 'docs', 'ATTACKS.md'), 'utf8').matchAll(/“([^”]+)”/g),
].map(([, name]) => name!);

function filesBelow(folder: string): string[] {
  return readdirSync(folder).flatMap((entry) => {
    const path = join(folder, entry);
    if (statSync(path).isDirectory()) return filesBelow(path);
    return path.endsWith('.test.ts') ? [path] : [];
  });
}

/** The names of a file's tests, those that are plain strings. */
function testsOf(path: string): string[] {
  const names: string[] = [];
  const visit = (node: ts.Node): void => {
    if (ts.isCallExpression(node) && node.expression.getText() === 'it') {
      const [name] = node.arguments;
      if (name && ts.isStringLiteral(name)) names.push(name.text);
    }
    ts.forEachChild(node, visit);
  };
  visit(ts.createSourceFile(path, readFileSync(path, 'utf8'), ts.ScriptTarget.ES2022, true));
  return names;
}

describe('docs/ATTACKS.md', () => {
  const folder = join(projectRoot, 'test');

  it('names tests that exist', () => {
    const all = new Set(filesBelow(folder).flatMap(testsOf));
    expect(documented.filter((name) => !all.has(name))).to.deep.equal([]);
  });

  it('has every test of an attack', () => {
    const attacks = filesBelow(join(folder, 'attacks')).filter((path) => !path.endsWith('document.test.ts'));
    const missing = attacks.flatMap(testsOf).filter((name) => !documented.includes(name));
    expect(missing).to.deep.equal([]);
  });
});
