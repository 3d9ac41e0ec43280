/** Mocha's spec reporter; the figures that `npm test` sums up go into a file for each suite. */
const { mkdirSync, writeFileSync } = require('node:fs');
const { reporters } = require('mocha');

module.exports = class extends reporters.Spec {
  constructor(runner, options) {
    super(runner, options);
    runner.once('end', () => {
      const { passes, failures, pending } = this.stats;
      const figures = `${passes} passed, ${failures} failed, ${pending} skipped\n`;
      mkdirSync('.build/summaries', { recursive: true });
      writeFileSync(`.build/summaries/${process.env.PGSWARM_SUITE ?? 'tests'}`, figures);
    });
  }
};
