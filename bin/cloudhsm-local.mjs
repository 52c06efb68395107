#!/usr/bin/env node
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import module from 'node:module';
import { fileURLToPath } from 'node:url';
import { setFlagsFromString } from 'node:v8';

const TIDY_UP_AFTER_MS = 300_000;
const main = fileURLToPath(new URL('../dist/bundle/programs/cloudhsm-local.js', import.meta.url));

if (!existsSync(main)) {
  console.error(
    'cloudhsm-local is not built yet: run `npm run build` (or `npm start`) in its checkout first.',
  );
  process.exit(6);
}

// An OpenSSL configuration that loads our own PKCS#11 module must not reach the engine's OpenSSL: it would wait for
// itself. OpenSSL reads the variable before any of our code runs, so the engine is started again without it.
if (
  process.env.OPENSSL_CONF !== undefined &&
  ['up', 'hsm', 'client', 'control-plane'].includes(process.argv[2])
) {
  const { OPENSSL_CONF: _, ...env } = process.env;
  // Whoever started us may wait for the engine's word.
  const asked = process.send !== undefined;
  const stdio = asked ? ['inherit', 'inherit', 'inherit', 'ipc'] : 'inherit';
  const engine = spawn(process.execPath, process.argv.slice(1), { env, stdio });
  if (asked) engine.on('message', (message) => process.send(message));
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => engine.kill(signal));
  engine.on('exit', (code, signal) => process.exit(code ?? (signal === null ? 1 : 0)));
} else {
  // V8 tidies up some seconds after a collection that loading our modules causes: 100-160 ms of processor time for an engine that
  // waits. The flag counts from the next collection on, so it comes before them. A V8 that does not know it says so and goes on.
  setFlagsFromString(`--gc-memory-reducer-start-delay-ms=${TIDY_UP_AFTER_MS}`);
  // Node 22 keeps what it has compiled; elsewhere there is no such function.
  module.enableCompileCache?.(fileURLToPath(new URL('../dist/.compiled', import.meta.url)));
  await import(main);
}
