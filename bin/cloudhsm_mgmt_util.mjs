#!/usr/bin/env node
const { cloudhsmMgmtUtil } = await import('../dist/src/tools/cloudhsm-mgmt-util/main.js');
process.exitCode = await cloudhsmMgmtUtil(process.argv.slice(2));
