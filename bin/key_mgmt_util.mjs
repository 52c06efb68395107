#!/usr/bin/env node
const { runTool } = await import('../dist/bundle/programs/run-tool.js');
const { keyMgmtUtil } = await import('../dist/bundle/programs/key-mgmt-util.js');
await runTool('key_mgmt_util', keyMgmtUtil);
