// The fast suites. Those that need a real Swarm are named by test/run.sh.
module.exports = {
  require: ['ts-node/register/transpile-only'],
  extension: ['ts'],
  spec: ['test/{unit,golden,tidy}/**/*.test.ts', 'test/sim/sim.test.ts'],
  forbidOnly: Boolean(process.env.CI),
};
