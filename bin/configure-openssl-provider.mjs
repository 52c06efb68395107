#!/usr/bin/env node
const { configureSdk5 } = await import('../dist/src/tools/configure/main.js');
process.exitCode = await configureSdk5('openssl-provider', process.argv.slice(2));
