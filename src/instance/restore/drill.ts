/**
 * A restore drill: a backup is restored into a throwaway, looked at and thrown away. It shows that
 * the backup is one, and how long it would take to get the data back.
 */
import { explainFailure } from '../../adapters/postgres/failures';
import { messageOf, OperatingError } from '../../core/errors';
import { type Recovery, type RecoveryProblem, type RestoredTo } from '../../core/restore/recovery';
import { NO_TIME, type RestoreDurations } from '../../core/restore/rehearsal';
import { describeTarget } from '../../core/restore/target';
import { directoryBytes } from '../rejoin/room';
import { checkQuery, checkTables, type CheckResult, type QueryCheck } from './checks';
import { Throwaway, type RecoveryOrder, type ThrowawayOptions } from './throwaway';

export interface DrillOrder extends RecoveryOrder {
  /** Id of the backup. */
  readonly backup: string;
  readonly queries: readonly QueryCheck[];
}

export interface DrillOptions extends ThrowawayOptions {
  /** Makes a data directory of the backup, ready for recovery, at this path; durable it need not be. */
  readonly materialise: (dataDirectory: string, signal: AbortSignal) => Promise<void>;
}

export interface DrillReport {
  /** ISO 8601. */
  readonly startedAt: string;
  readonly backup: string;
  /** In words. */
  readonly target: string;
  /** null when nothing was recovered. */
  readonly restoredTo: RestoredTo | null;
  /** Of the data directory, before anything was replayed. */
  readonly bytes: number;
  readonly durations: RestoreDurations;
  readonly checks: readonly CheckResult[];
  /** null: the data can be had back. */
  readonly problem: RecoveryProblem | null;
}

/** Leaves nothing, whatever happens. A drill that is called off has no report: it throws. */
export async function runDrill(
  order: DrillOrder,
  options: DrillOptions,
  signal: AbortSignal,
): Promise<DrillReport> {
  const throwaway = new Throwaway(options);
  const drill = new Drill(order);
  try {
    await drill.run(throwaway, options, signal);
  } catch (error) {
    signal.throwIfAborted();
    drill.fail(problemOf(error));
  } finally {
    await throwaway.remove();
  }
  return drill.report;
}

/** What is known so far. */
class Drill {
  readonly #order: DrillOrder;
  #report: DrillReport;

  constructor(order: DrillOrder) {
    this.#order = order;
    this.#report = {
      startedAt: new Date().toISOString(),
      backup: order.backup,
      target: describeTarget(order.target),
      restoredTo: null,
      bytes: 0,
      durations: NO_TIME,
      checks: [],
      problem: null,
    };
  }

  get report(): DrillReport {
    return this.#report;
  }

  /** What went wrong first is what counts. */
  fail(problem: RecoveryProblem | null): void {
    this.#report = { ...this.#report, problem: this.#report.problem ?? problem };
  }

  async run(throwaway: Throwaway, options: DrillOptions, signal: AbortSignal): Promise<void> {
    const { dataDirectory } = options.scratch;
    await this.#timed('unpackMs', async () => await options.materialise(dataDirectory, signal));
    this.#report = { ...this.#report, bytes: await directoryBytes(dataDirectory) };
    const recovery = await this.#timed('recoverMs', async () => {
      return await throwaway.recover(this.#recoveryOrder(), signal);
    });
    this.#report = { ...this.#report, restoredTo: recovery.restoredTo };
    this.fail(recovery.problem);
    if (!isRunning(recovery)) return;
    const server = { address: throwaway.address, binDirectory: options.binDirectory };
    await this.#timed('checkMs', async () => {
      for (const result of await checkTables(server, signal)) this.#note(result);
      for (const query of this.#order.queries) this.#note(await checkQuery(server, query, signal));
    });
  }

  /** A server that may write can be given the extension that the check of its tables needs. */
  #recoveryOrder(): RecoveryOrder {
    return { ...this.#order, target: { ...this.#order.target, action: 'promote' } };
  }

  #note(result: CheckResult): void {
    this.#report = { ...this.#report, checks: [...this.#report.checks, result] };
    const { name, detail, isGood } = result;
    if (!isGood) this.fail({ reason: 'CheckFailed', message: `${name}: no, ${detail}` });
  }

  async #timed<T>(name: keyof DrillReport['durations'], work: () => Promise<T>): Promise<T> {
    const fromMs = performance.now();
    try {
      return await work();
    } finally {
      const tookMs = Math.round(performance.now() - fromMs);
      const durations = { ...this.#report.durations, [name]: tookMs };
      this.#report = { ...this.#report, durations };
    }
  }
}

const isRunning = ({ end }: Recovery): boolean => end === 'promoted' || end === 'paused';

function problemOf(error: unknown): RecoveryProblem {
  const explained = explainFailure(error, {
    attempted: 'restoring a backup into a copy that is thrown away',
    otherwise: 'DrillFailed',
  });
  const reason = explained instanceof OperatingError ? explained.code : 'DrillFailed';
  return { reason, message: messageOf(explained) };
}
