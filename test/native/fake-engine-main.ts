import { FakeEngine, sessionsHandler } from './fake-engine.js';

/** A fake engine in a process of its own, to be killed. Says `ready`, then `application` for each new one. */
const engine = new FakeEngine(sessionsHandler());
await engine.listen(process.argv[2]!);
process.stdout.write('ready\n');
let told = 0;
setInterval(() => {
  for (; told < engine.applications; told++) process.stdout.write('application\n');
}, 20);
