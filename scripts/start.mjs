#!/usr/bin/env node
/*
 * npm start: builds what is out of date, then `cloudhsm-local up` in the same process.
 *
 *   npm start [-- options of `cloudhsm-local up`]
 */
import { fileURLToPath } from 'node:url';

const [node, , ...words] = process.argv;
process.argv.splice(2);
await import('./build.mjs');
const command = new URL('../bin/cloudhsm-local.mjs', import.meta.url);
process.argv = [node, fileURLToPath(command), 'up', ...words];
await import(command);
