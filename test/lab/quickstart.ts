/**
 * `npm run quickstart`: a three-node Swarm on this machine, the operator, `examples/pair.yaml`, and
 * what to try next. `-- --down` removes it all.
 */
import { join } from 'node:path';
import { Lab } from './lab';
import { note, seconds } from './progress';
import { attempt, LabError, passThrough, run, waitFor } from './shell';

const LAB = 'quickstart';
const ROOT = join(__dirname, '../..');
const PROGRAM = join(ROOT, 'dist/main.js');

/** The operator and its web page. */
const DEPLOY = [
  ...['docker', 'stack', 'deploy', '-c', 'manifests/pgswarm.yaml'],
  ...['-c', 'manifests/page.yaml', 'pgswarm'],
];

/** The operators restart once, when their leader has made the root key. */
const UPDATE_STATE = [
  'service',
  'inspect',
  '--format',
  '{{with .UpdateStatus}}{{.State}}{{end}}',
  'pgswarm_operator',
];

async function up(): Promise<void> {
  const startedMs = performance.now();
  await run(['npm', 'run', '--silent', 'build'], { cwd: ROOT });
  const lab = await Lab.open(LAB);
  await lab.up();
  const host = await waitFor(
    'a manager of the lab to answer',
    60_000,
    async () => (await lab.manager()) ?? undefined,
  );
  const env = { ...process.env, DOCKER_HOST: host };
  const pgswarm = (...args: readonly string[]): Promise<number> =>
    passThrough([process.execPath, PROGRAM, ...args], { cwd: ROOT, env });

  note(`deploying the operator: ${DEPLOY.join(' ')}`);
  await run(DEPLOY, { cwd: ROOT, env });
  await waitFor('the operators to have their root key and a leader', 120_000, async () => {
    const { code } = await attempt([process.execPath, PROGRAM, 'status'], { env });
    const update = await run(['docker', ...UPDATE_STATE], { env });
    return code === 0 && update === 'completed' ? true : undefined;
  });
  note('applying the cluster: pgswarm apply -f examples/pair.yaml --wait');
  const code = await pgswarm('apply', '-f', 'examples/pair.yaml', '--wait');
  if (code !== 0) throw new LabError('The pair did not become ready; see above.');
  await pgswarm('status', 'orders');
  await pgswarm('connect', 'orders', '--with-password');
  await pgswarm('page');
  note(`ready after ${seconds(performance.now() - startedMs)}`);
  process.stdout.write(next(host));
}

const next = (host: string): string => `
Try it:
  export DOCKER_HOST=${host}
  pgswarm() { node ${PROGRAM} "$@"; }
  pgswarm psql orders -- -c "create table t as select generate_series(1, 1000) n"
  sed -i 's/primary: pg1/primary: pg2/' examples/pair.yaml
  pgswarm plan  -f examples/pair.yaml      # what would be done, and the write gap
  pgswarm apply -f examples/pair.yaml --wait
  pgswarm status orders
What next: docs/tutorial.md
Remove it all:
  npm run quickstart -- --down
`;

async function down(): Promise<void> {
  const lab = await Lab.find(LAB);
  if (lab === null) note('there is no quickstart lab');
  else await lab.down();
}

(process.argv.includes('--down') ? down() : up()).catch((error: unknown) => {
  process.stderr.write(`${error instanceof LabError ? error.message : String(error)}\n`);
  process.exitCode = 1;
});
