// Preloaded into the operator. Tells the benchmark when every cluster has decided on a sight of
// Swarm that is not older than the benchmark's question, and how much processor time went by.
const { performance } = require('node:perf_hooks');
const { ClusterController } = require('../../../dist/operator/cluster-controller.js');

const { decide } = ClusterController.prototype;
const clusters = Number(process.env.PGSWARM_BENCH_CLUSTERS);
let round = { sinceMs: 0, beganMs: 0, cpu: { user: 0, system: 0 }, decided: new Set() };

ClusterController.prototype.decide = function () {
  const outcome = decide.call(this);
  if (round !== null && !round.decided.has(this.cluster)) note(this);
  return outcome;
};

function note(controller) {
  const seenAtMs = controller.observation().swarm?.seenAtMs ?? -Infinity;
  if (seenAtMs < round.sinceMs) return;
  round.decided.add(controller.cluster);
  if (round.decided.size < clusters) return;
  const { user, system } = process.cpuUsage(round.cpu);
  const wallMs = performance.now() - round.beganMs;
  round = null;
  process.send({ wallMs, cpuMs: (user + system) / 1000 });
}

process.on('message', () => {
  const beganMs = performance.now();
  round = { sinceMs: beganMs, beganMs, cpu: process.cpuUsage(), decided: new Set() };
  process.send('armed');
});
process.channel.unref();
