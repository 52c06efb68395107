#!/usr/bin/env node
const { cloudhsmCli } = await import('../dist/src/tools/cloudhsm-cli/main.js');
process.exitCode = await cloudhsmCli(process.argv.slice(2));
