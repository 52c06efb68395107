#!/usr/bin/env node
const { runTool } = await import('../dist/src/base/output.js');
const { configureSdk5 } = await import('../dist/src/tools/configure/main.js');
await runTool('configure-dyn', (words) => configureSdk5('dyn', words));
