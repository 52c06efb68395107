#!/usr/bin/env node
const { runTool } = await import('../dist/src/base/output.js');
const { configureSdk5 } = await import('../dist/src/tools/configure/main.js');
await runTool('configure-ksp', (words) => configureSdk5('ksp', words));
