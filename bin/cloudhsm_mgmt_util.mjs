#!/usr/bin/env node
await import('../dist/src/tools/cloudhsm-mgmt-util/main.js');
