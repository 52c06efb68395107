#!/usr/bin/env node
const { runTool } = await import('../dist/src/base/output.js');
const { configureSdk5 } = await import('../dist/src/tools/configure/main.js');
await runTool('configure-jce', (words) => configureSdk5('jce', words));
