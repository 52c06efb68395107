'use strict';

const { writeFileSync } = require('node:fs');
const { reporters } = require('mocha');

/** Mocha's own report, and its counts in a file for scripts/test.mjs. */
module.exports = class extends reporters.Spec {
  constructor(runner, options) {
    super(runner, options);
    runner.once('end', () => {
      const { passes, failures, pending } = runner.stats;
      const counts = { passed: passes, failed: failures, skipped: pending };
      writeFileSync(options.reporterOptions.countsFile, JSON.stringify(counts));
    });
  }
};
