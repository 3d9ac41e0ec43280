/**
 * What people see: a command, a line, and everything that it prints. `UPDATE_GOLDEN=1` records
 * anew; the difference is then for a person to read.
 */
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { checkFile } from '../../src/cli/documents';
import { runCli } from '../../src/cli/main';
import { type Situation } from '../../src/core/situation';
import { type Spec } from '../../src/core/spec';
import { acts, portsOf, recordingOutput, running, world, type World } from '../support/cli-ports';
import { withState } from '../support/world';

const ROOT = join(__dirname, '../..');
const TRANSCRIPTS = __dirname;
const RULER = '-'.repeat(40);

interface Transcript {
  readonly name: string;
  readonly world: () => Promise<World>;
  readonly commands: readonly string[];
}

function specOf(file: string): Spec {
  const { spec } = checkFile(join(ROOT, file), []);
  if (spec === null) throw new Error(`${file} has errors`);
  return spec;
}

const pair = (): Situation => running(specOf('examples/pair.yaml'));

/** Nobody has heard of one server. */
function without(situation: Situation, server: string): Situation {
  const { [server]: _, ...reports } = situation.observation.reports;
  return { ...situation, observation: { ...situation.observation, reports } };
}

/** A cluster whose operator and instances do what is asked for, while the command waits. */
const living = async (situation: Situation): Promise<World> => ({
  ...(await world(situation)),
  acts,
});

/** The primary was last heard a while ago, ahead of the standby by more than may be lost. */
function primaryGone(): Situation {
  const spec = specOf('examples/pair.yaml');
  const situation = running({ ...spec, failover: { ...spec.failover, lagBytesMax: 1024 } });
  const { observation, nowMs } = situation;
  const seen = observation.reports['pg1'];
  if (seen?.report.postgres.state !== 'primary') throw new Error('pg1 is not the primary');
  const postgres = { ...seen.report.postgres, lsn: '0/3001000' };
  const pg1 = { report: { ...seen.report, postgres }, seenAtMs: nowMs - 12_000 };
  const reports = { ...observation.reports, pg1 };
  return acts({ ...situation, observation: { ...observation, reports } });
}

const specs = readdirSync(join(TRANSCRIPTS, 'specs')).map((file) => `test/golden/specs/${file}`);
const examples = readdirSync(join(ROOT, 'examples')).map((file) => `examples/${file}`);

const transcripts: readonly Transcript[] = [
  {
    name: 'validate',
    world: () => world(null),
    commands: [...examples, ...specs, 'no-such-file.yaml'].map((file) => `validate -f ${file}`),
  },
  {
    name: 'validate-beside-a-cluster',
    world: () => world(pair()),
    commands: [
      'validate -f test/golden/specs/taken-subnet.yaml',
      'validate -f test/golden/specs/taken-subnet.yaml -o json',
    ],
  },
  {
    name: 'plan-new',
    world: () => world(null),
    commands: [
      ...examples.map((file) => `plan -f ${file}`),
      'plan -f test/golden/specs/other-kind.yaml',
      'plan -f examples/one-node.yaml -o json',
    ],
  },
  {
    name: 'plan-change',
    world: () => world(pair()),
    commands: [
      'plan -f examples/pair.yaml',
      'plan -f test/golden/specs/moved-primary.yaml',
      'plan -f test/golden/specs/third-server.yaml',
      'plan -f test/golden/specs/less-of-everything.yaml',
      'plan -f test/golden/specs/more-connections.yaml',
      'plan -f test/golden/specs/fewer-connections.yaml',
      'plan -f test/golden/specs/supervised-change.yaml',
      'plan -f test/golden/specs/new-image.yaml',
    ],
  },
  {
    name: 'plan-refused',
    world: () => world(acts(without(pair(), 'pg2'))),
    commands: ['plan -f test/golden/specs/moved-primary.yaml', 'why orders', 'status orders'],
  },
  {
    name: 'simulate',
    world: () => world(pair()),
    commands: [
      'simulate orders --lose n1',
      'simulate orders --lose pg2',
      'simulate orders --lose n1,n3',
      'simulate orders --lose n2,n3',
      'simulate orders --lose n4',
      'simulate orders',
      'simulate orders --lose pg1 -o yaml',
    ],
  },
  {
    name: 'cluster',
    world: () => world(pair()),
    commands: [
      'status',
      'status order',
      'status orders -o json',
      'why orders',
      'connect orders',
      'connect orders --role ro',
      'connect orders --role write',
      'events orders -n 3',
      'events orders --since 1h --long -n 2',
      'events orders --since yesterday',
      'events orders -n 1 -o yaml',
      'apply -f examples/pair.yaml',
      'apply -f test/golden/specs/moved-primary.yaml --dry-run',
      'apply -f examples/pair.yaml --wait',
      'reclone orders pg1 --yes',
      'reclone orders pg2',
      'reclone orders pg2 --yes',
      'delete orders',
    ],
  },
  {
    name: 'promote',
    world: () => living(pair()),
    commands: [
      'promote orders pg1',
      'promote orders pg3',
      'promote orders pg2 --accept-data-loss',
      'promote orders pg2 --primary-is-dead',
      'promote orders pg2',
    ],
  },
  {
    name: 'promote-when-the-primary-is-gone',
    world: () => living(primaryGone()),
    commands: [
      'status orders',
      'why orders',
      'promote orders pg2 --accept-data-loss',
      'promote orders pg2 --primary-is-dead',
      'promote orders pg2 --accept-data-loss --yes',
    ],
  },
  {
    name: 'maintenance',
    world: () => living(pair()),
    commands: [
      'pause orders',
      'resume orders',
      'fence orders pg1',
      'fence orders pg2',
      'unfence orders pg2',
      'restart orders',
      'restart orders pg2',
    ],
  },
  {
    name: 'fenced',
    world: () => living(acts(withState(pair(), { fenced: ['pg2'] }))),
    commands: [
      'status',
      'why orders',
      'fence orders pg2',
      'promote orders pg2',
      'restart orders',
      'restart orders pg2',
      'unfence orders pg2',
    ],
  },
  {
    name: 'paused',
    world: () => {
      const paused = { since: '2026-01-01T00:05:00.000Z', by: 'grace' };
      return living(withState(without(pair(), 'pg2'), { paused }));
    },
    commands: [
      'status',
      'why orders',
      'pause orders',
      'restart orders',
      'promote orders pg2',
      'delete orders --yes',
      'resume orders',
    ],
  },
  {
    name: 'help',
    world: () => world(null),
    commands: ['', 'plna', 'plan', 'plan --help', 'psql --help', 'promote --help', 'version'],
  },
];

async function transcribe({ world: make, commands }: Transcript): Promise<string> {
  const parts: string[] = [];
  for (const command of commands) {
    const output = recordingOutput();
    const argv = command.split(' ').filter((word) => word !== '');
    const code = await runCli(argv, portsOf(await make(), output));
    parts.push(`$ pgswarm ${command}\n${RULER}\n${timeless(output.text())}\n[exit ${code}]\n`);
  }
  return parts.join('\n');
}

/** Progress lines begin with the time since the start, which is the machine's and not ours. */
const timeless = (text: string): string => text.replaceAll(/^ +\d+\.\d s {2}/gm, '  0.0 s  ');

describe('transcripts of the command line', function () {
  // A machine that is busy with other things.
  this.timeout(20_000);
  const before = process.cwd();
  beforeEach(() => process.chdir(ROOT));
  afterEach(() => process.chdir(before));

  for (const transcript of transcripts) {
    it(transcript.name, async () => {
      const file = join(TRANSCRIPTS, `${transcript.name}.txt`);
      const said = await transcribe(transcript);
      if (process.env['UPDATE_GOLDEN'] !== undefined || !existsSync(file)) {
        writeFileSync(file, said);
      }
      expect(said).to.equal(readFileSync(file, 'utf8'));
    });
  }
});
