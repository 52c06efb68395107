#!/usr/bin/env node
const { runTool } = await import('../dist/src/base/output.js');
const { configureSdk5 } = await import('../dist/src/tools/configure/main.js');
await runTool('configure-cli', (words) => configureSdk5('cli', words));
