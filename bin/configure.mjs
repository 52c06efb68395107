#!/usr/bin/env node
const { runTool } = await import('../dist/src/base/output.js');
const { configureSdk3 } = await import('../dist/src/tools/configure/sdk3.js');
await runTool('configure', configureSdk3);
