#!/usr/bin/env node
const { keyMgmtUtil } = await import('../dist/src/tools/key-mgmt-util/main.js');
process.exitCode = await keyMgmtUtil(process.argv.slice(2));
