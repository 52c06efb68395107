import { readFileSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { expect } from 'chai';
import { projectRoot, TestEngine } from '../support/engine.js';

/** The requests that docs/CONFIGURATION.md has a row for, as an engine with this HSM gets them. */
function requestsOf(hsmId: string): [method: string, path: string][] {
  const page = readFileSync(join(projectRoot, 'docs', 'CONFIGURATION.md'), 'utf8');
  const rows = page.slice(page.indexOf('## The control socket')).matchAll(/^\| (`[A-Z]+ .*?) +\|/gm);
  return [...rows].flatMap(([, shown]) => {
    let method = '';
    return shown!.split(', ').map((one): [string, string] => {
      const [, named, path] = /^`([A-Z]+)? ?(.*)`$/.exec(one)!;
      method = named ?? method;
      return [method, path!.replace('<HSM-ID>', hsmId).replace('<N>', '1').replace('KIND', 'slow')];
    });
  });
}

describe("docs/CONFIGURATION.md, of an engine's control socket", () => {
  let engine: TestEngine;

  before(async () => {
    engine = await TestEngine.startWith({ hsms: 1 });
  });
  after(() => engine?.stop());

  const codeOf = (method: string, path: string): Promise<number | undefined> =>
    new Promise((resolve, reject) => {
      const socketPath = join(engine.home, 'run', 'control.sock');
      request({ socketPath, method, path }, (response) => {
        response.resume().on('end', () => resolve(response.statusCode));
      })
        .on('error', reject)
        .end();
    });

  it('names requests that it answers, the last of which ends it', async () => {
    const [{ id }] = JSON.parse(readFileSync(join(engine.home, 'cluster.json'), 'utf8')).hsms;
    const requests = requestsOf(id);
    expect(requests).to.have.length.greaterThan(10);
    const last = requests.pop();
    const codes = [];
    for (const [method, path] of requests) codes.push([method, path, await codeOf(method, path)]);
    // A backup is an HSM's own process's to give.
    const expected = requests.map(([method, path]) => [method, path, path === '/backup' ? 404 : 200]);
    expect(codes).to.deep.equal(expected);
    expect(last).to.deep.equal(['POST', '/shutdown']);
    expect(await codeOf('POST', '/shutdown')).to.equal(202);
  });
});
