#!/usr/bin/env node
const { runTool } = await import('../dist/bundle/programs/run-tool.js');
const { cloudhsmMgmtUtil } = await import('../dist/bundle/programs/cloudhsm-mgmt-util.js');
await runTool('cloudhsm_mgmt_util', cloudhsmMgmtUtil);
