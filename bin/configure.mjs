#!/usr/bin/env node
const { runTool } = await import('../dist/bundle/programs/run-tool.js');
const { configureSdk3 } = await import('../dist/bundle/programs/configure-sdk3.js');
await runTool('configure', configureSdk3);
