#!/usr/bin/env node
const { runTool } = await import('../dist/src/base/output.js');
const { configureSdk5 } = await import('../dist/src/tools/configure/main.js');
await runTool('configure-pkcs11', (words) => configureSdk5('pkcs11', words));
