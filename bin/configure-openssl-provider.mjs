#!/usr/bin/env node
const { runTool } = await import('../dist/bundle/programs/run-tool.js');
const { configureSdk5 } = await import('../dist/bundle/programs/configure-sdk5.js');
await runTool('configure-openssl-provider', (words) => configureSdk5('openssl-provider', words));
