import { serveHostedHsm } from './hosted-hsm.js';

serveHostedHsm(process.argv[2]!);
