#!/usr/bin/env node
const { runTool } = await import('../dist/src/base/output.js');
const { cloudhsmMgmtUtil } = await import('../dist/src/tools/cloudhsm-mgmt-util/main.js');
await runTool('cloudhsm_mgmt_util', cloudhsmMgmtUtil);
