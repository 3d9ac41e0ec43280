/** `pgswarm apply`: hands a file's spec to the store, and waits for it if asked to. */
import { stampOf } from '../../adapters/files/stamp';
import { OperatingError } from '../../core/errors';
import { acceptSpec, type Acceptance } from '../../operator/accept-spec';
import { expectationsOf } from '../../core/expectations';
import { DONE, FAILED, refusal, type ExitCode } from '../exit';
import { expectationsText } from '../expectations-text';
import { type CliPorts } from '../ports';
import { changeLines, consequenceLines, propose, type Proposal } from '../proposal';
import { waitUntilReady } from '../wait';

export interface ApplyOptions {
  readonly file: string;
  /** true: as long as is usual. */
  readonly wait?: number | true;
  readonly dryRun?: boolean;
  readonly watch?: boolean;
}

/** A cluster is made and its standbys are cloned in less than this, while it is small. */
const WAIT_SECONDS = 300;

/** Between two looks at a file that is watched. */
const LOOK_EVERY_MS = 250;

export async function run(ports: CliPorts, options: ApplyOptions): Promise<ExitCode> {
  if (options.watch !== true) return apply(ports, options);
  if (options.file !== '-') return watch(ports, options);
  throw refusal('NotAFile', 'Standard input cannot be watched: name a file.');
}

/** Applies the file whenever it is saved, until Ctrl-C. Mistakes are shown, and the next save awaited. */
async function watch(ports: CliPorts, options: ApplyOptions): Promise<ExitCode> {
  let before: string | null = null;
  let applied: string | null = null;
  do {
    const stamp = await stampOf(options.file);
    // While an editor replaces it, it is gone or half written.
    const isStill = stamp !== null && stamp === before;
    before = stamp;
    if (!isStill || stamp === applied) continue;
    applied = stamp;
    try {
      await apply(ports, options);
    } catch (error) {
      if (!(error instanceof OperatingError)) throw error;
      ports.output.note(`pgswarm: ${error.message}`);
      // The store may answer at the next look.
      if (error.kind === 'transient') applied = null;
    }
  } while (await ports.clock.pause(LOOK_EVERY_MS));
  return DONE;
}

async function apply(ports: CliPorts, options: ApplyOptions): Promise<ExitCode> {
  const proposal = await propose(ports, options.file);
  if (proposal === null) return FAILED;
  if (options.dryRun === true) {
    show(ports, proposal, { outcome: proposal.outcome, generation: proposal.record.generation });
    ports.output.print('This was a dry run: nothing has been written.');
    return DONE;
  }
  const { spec, document, source, appliedAt } = proposal.record;
  const offer = { spec, document, source, digest: null, now: appliedAt };
  const acceptance = await acceptSpec(ports.connect().store, offer);
  show(ports, proposal, acceptance);
  if (options.wait === undefined) {
    ports.output.note(`See what becomes of it: pgswarm status ${spec.cluster}`);
    return DONE;
  }
  const seconds = options.wait === true ? WAIT_SECONDS : options.wait;
  const hasNewSettings = proposal.changes.some(({ path }) => path.startsWith('spec.postgres.'));
  const { generation } = acceptance;
  return waitUntilReady(ports, { cluster: spec.cluster, generation, hasNewSettings, seconds });
}

function show({ output }: CliPorts, proposal: Proposal, { outcome, generation }: Acceptance): void {
  const { cluster } = proposal.record.spec;
  output.print(`${output.paint('strong', cluster)} ${outcome} (generation ${generation})`);
  for (const line of changeLines(proposal.changes, output.paint)) output.print(line);
  for (const line of consequenceLines(proposal.consequences, output.paint)) output.print(line);
  if (outcome === 'unchanged') return;
  output.print(`\n${expectationsText(expectationsOf(proposal.record.spec), output.paint)}`);
}
