#!/usr/bin/env node
const { configureSdk3 } = await import('../dist/src/tools/configure/sdk3.js');
process.exitCode = await configureSdk3(process.argv.slice(2));
