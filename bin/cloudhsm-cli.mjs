#!/usr/bin/env node
const { runTool } = await import('../dist/bundle/programs/run-tool.js');
const { cloudhsmCli } = await import('../dist/bundle/programs/cloudhsm-cli.js');
await runTool('cloudhsm-cli', cloudhsmCli);
