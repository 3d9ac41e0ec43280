/** Mocha's spec reporter; the figures that `npm test` ends with go into a file of their own. */
const { mkdirSync, writeFileSync } = require('node:fs');
const { reporters } = require('mocha');

module.exports = class extends reporters.Spec {
  constructor(runner, options) {
    super(runner, options);
    runner.once('end', () => {
      const { passes, failures, pending } = this.stats;
      const skipped = pending === 0 ? '' : `, ${pending} skipped`;
      mkdirSync('.build', { recursive: true });
      writeFileSync('.build/summary.txt', `${passes} passed, ${failures} failed${skipped}\n`);
    });
  }
};
