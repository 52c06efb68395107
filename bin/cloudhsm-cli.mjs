#!/usr/bin/env node
const { runTool } = await import('../dist/src/base/output.js');
const { cloudhsmCli } = await import('../dist/src/tools/cloudhsm-cli/main.js');
await runTool('cloudhsm-cli', cloudhsmCli);
