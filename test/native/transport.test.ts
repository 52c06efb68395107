import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { buildNative, modulePath, nativeProgram, runProgram } from './build-native.js';
import { FakeEngine, invertingHandler, sessionsHandler } from './fake-engine.js';

for (const transport of ['socket', 'memory']) {
  describe(`frames over ${transport}`, function () {
    this.timeout(180_000);
    let folder: string;
    before(() => {
      buildNative();
      folder = mkdtempSync(join(tmpdir(), 'frames-'));
    });
    after(() => rmSync(folder, { recursive: true }));

    it('of every size around what one turn holds, of 1 MiB and of 48 MiB, travel both ways', async () => {
      const engine = new FakeEngine(invertingHandler(sessionsHandler()));
      const socket = join(folder, 'engine.sock');
      await engine.listen(socket);
      const env = { CLOUDHSM_LOCAL_SOCKET: socket, CLOUDHSM_LOCAL_TRANSPORT: transport };
      const { lines } = await runProgram(nativeProgram('transport_client'), [modulePath, 'sizes'], env);
      await engine.close();
      expect(lines).to.deep.equal([`${3 * 66 + 33 + 2} sizes travel`]);
      expect(engine.shared).to.equal(transport === 'memory' ? 1 : 0);
    });
  });
}
