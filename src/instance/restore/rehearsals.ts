/**
 * Restores on copies, beside the server and of less weight than it: the one that this server is told
 * to make. One that a restart has cut short begins again.
 */
import { messageOf, OperatingError } from '../../core/errors';
import { type InstanceSettings } from '../../core/protocol';
import { type RecoveryProblem } from '../../core/restore/recovery';
import {
  DRILL_TARGET,
  NO_TIME,
  outcomeText,
  type RehearsalOrder,
  type RehearsalOutcome,
  type RehearsalWork,
} from '../../core/restore/rehearsal';
import { type Archive } from '../archive/archive';
import { type Backups } from '../backup/backups';
import { findRoomTrouble } from '../backup/room';
import { type RehearsalPort } from '../ports';
import { scratchFolder, withCopy, type Copy, type CopyPlace } from './copy';
import { runDrill } from './drill';
import { planRestore, type RestorePlan } from './plan';
import { type Present } from './present';
import { runPreview } from './preview';
import { clearScratch } from './scratch';
import { type RecoveryOrder } from './throwaway';

export interface RehearsalsOptions extends CopyPlace {
  readonly archive: Pick<Archive, 'contents' | 'recoverySource'>;
  readonly backups: Pick<Backups, 'catalogue'>;
  /** Where a preview listens. */
  readonly previewPort: number;
}

interface UnderWay {
  readonly order: RehearsalOrder;
  readonly settings: InstanceSettings;
  readonly abort: AbortController;
}

interface Attempt {
  readonly plan: RestorePlan;
  /** Id of the backup. */
  readonly backup: string;
  readonly copy: Copy;
}

/** WAL goes first: while the copy grows, the volume is looked at. */
const ROOM_EVERY_MS = 2000;
/** As psql prints it. */
const TRUE = 't';

export class Rehearsals implements RehearsalPort {
  readonly #options: RehearsalsOptions;
  #underWay: UnderWay | null = null;
  #present: Pick<Present, 'archive'> | null = null;
  #work: RehearsalWork | null = null;
  /** One after the other: they have the same place. */
  #last: Promise<void>;

  constructor(options: RehearsalsOptions) {
    this.#options = options;
    // What an earlier process has left; no start waits for it.
    this.#last = clearScratch(scratchFolder(options.volume)).catch((error: unknown) => {
      options.log.warn('A copy could not be thrown away', { error: messageOf(error) });
    });
  }

  /** What is shown in a preview includes what was written until it was asked for. */
  include(present: Pick<Present, 'archive'>): void {
    this.#present = present;
  }

  report(): ReturnType<RehearsalPort['report']> {
    return { rehearsal: this.#work };
  }

  obey(order: RehearsalOrder | null, settings: InstanceSettings): void {
    if (order?.id === this.#underWay?.order.id) return;
    this.giveWay('it is not wanted any more');
    if (order === null || this.#work?.id === order.id) return;
    const underWay = { order, settings, abort: new AbortController() };
    this.#underWay = underWay;
    this.#say(order, { state: 'running', words: 'it begins' });
    this.#last = this.#last.then(async () => await this.#carryOut(underWay));
  }

  giveWay(because: string): void {
    if (this.#underWay === null) return;
    const { order, abort } = this.#underWay;
    this.#say(order, { state: 'given up', words: because });
    this.#underWay = null;
    abort.abort();
  }

  /** Nothing is left of it when this returns. */
  async close(): Promise<void> {
    this.giveWay('the instance manager is to end');
    await this.#last;
  }

  async #carryOut(underWay: UnderWay): Promise<void> {
    const { log } = this.#options;
    const { order, abort } = underWay;
    const { id, kind } = order;
    log.info('A restore on a copy begins', { id, kind });
    const outcome = await this.#outcomeOf(underWay).catch((error: unknown): RehearsalOutcome => {
      const problem = problemOf(abort.signal.aborted ? abort.signal.reason : error);
      return { backup: null, restoredTo: null, durations: NO_TIME, problem };
    });
    const words = outcome.problem?.message ?? `done ${outcomeText(outcome)}`;
    log.info('A restore on a copy has ended', { id, kind, words });
    this.#say(order, { state: 'ended', words, outcome });
    if (this.#underWay === underWay) this.#underWay = null;
  }

  /** An older backup is tried when the point may lie before the newer one. */
  async #outcomeOf(underWay: UnderWay): Promise<RehearsalOutcome> {
    const { archive, backups } = this.#options;
    const { order, abort } = underWay;
    if (order.kind === 'preview') await this.#present?.archive();
    const catalogue = await backups.catalogue();
    const plan = await planRestore(order, { archive, catalogue });
    const watch = setInterval(() => void this.#watchRoom(abort), ROOM_EVERY_MS);
    try {
      let outcome: RehearsalOutcome | null = null;
      for (const backup of plan.backups) {
        abort.signal.throwIfAborted();
        const lease = await catalogue.leaseChain(backup);
        try {
          outcome = await withCopy(this.#options, { plan, lease }, async (copy) =>
            order.kind === 'drill'
              ? await this.#drill(underWay, { plan, backup, copy })
              : await this.#preview(underWay, { plan, backup, copy }),
          );
        } finally {
          lease.release();
        }
        if (outcome.problem?.reason !== 'TargetNotReached') return outcome;
      }
      if (outcome !== null) return outcome;
      throw new Error('the plan of a restore names no backup');
    } finally {
      clearInterval(watch);
    }
  }

  async #watchRoom(abort: AbortController): Promise<void> {
    const trouble = await findRoomTrouble(this.#options.volume, 'restoring a copy');
    if (trouble !== null) abort.abort(trouble);
  }

  async #drill(
    { order, settings, abort }: UnderWay,
    { plan, backup, copy }: Attempt,
  ): Promise<RehearsalOutcome> {
    const { signal } = abort;
    const { timeline } = plan.target;
    const query = { name: 'the query of the spec', database: settings.database, expect: TRUE };
    const { restoredTo, durations, problem } = await runDrill(
      {
        ...this.#recoveryOf(order, { plan, copy }),
        target: { ...DRILL_TARGET, timeline },
        backup,
        queries: order.query === null ? [] : [{ ...query, query: order.query }],
      },
      {
        ...copy.options,
        materialise: async () => await copy.materialise(signal, this.#telling(order)),
      },
      signal,
    );
    return { backup, restoredTo, durations, problem };
  }

  async #preview(
    { order, settings, abort }: UnderWay,
    { plan, backup, copy }: Attempt,
  ): Promise<RehearsalOutcome> {
    const preview = {
      copy,
      backup,
      recovery: this.#recoveryOf(order, { plan, copy }),
      access: { port: this.#options.previewPort, hba: settings.hba },
      say: this.#telling(order),
      onReady: (words: string, outcome: RehearsalOutcome) =>
        this.#say(order, { state: 'ready', words, outcome }),
    };
    return await runPreview(preview, abort.signal);
  }

  #recoveryOf(order: RehearsalOrder, { plan, copy }: Omit<Attempt, 'backup'>): RecoveryOrder {
    const say = this.#telling(order);
    const { target, walEndsAtLsn } = plan;
    const { restoreCommand } = copy;
    const onProgress: RecoveryOrder['onProgress'] = ({ lsn }) => say(`replayed up to ${lsn}`);
    return { target, walEndsAtLsn, restoreCommand, onProgress };
  }

  #telling(order: RehearsalOrder): (words: string) => void {
    return (words) => this.#say(order, { state: 'running', words });
  }

  /** Only of the one that is under way: what an earlier one still says is of no interest. */
  #say(
    { id }: RehearsalOrder,
    said: Pick<RehearsalWork, 'state' | 'words'> & Partial<RehearsalWork>,
  ): void {
    if (this.#underWay?.order.id === id) this.#work = { id, outcome: null, ...said };
  }
}

function problemOf(error: unknown): RecoveryProblem {
  const reason = error instanceof OperatingError ? error.code : 'RestoreFailed';
  return { reason, message: messageOf(error) };
}
