#!/usr/bin/env node
const { runTool } = await import('../dist/src/base/output.js');
const { keyMgmtUtil } = await import('../dist/src/tools/key-mgmt-util/main.js');
await runTool('key_mgmt_util', keyMgmtUtil);
