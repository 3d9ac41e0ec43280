/** What this instance knows of itself, beside what PostgreSQL says; and the report made of both. */
import {
  type ArchiveReport,
  type Assignment,
  type Divergence,
  type InstanceSettings,
  type PostgresReport,
  type Problem,
  type Report,
  type Upstream,
  type VolumeReport,
} from '../core/protocol';
import { type VolumeRoom } from '../core/budget';
import { type Lsn } from '../core/lsn';
import { type RareFacts } from '../adapters/postgres/observe';
import { type LocalFacts, type Permission } from './next-action';
import { type Rejoin } from './rejoin/ladder';
import { contractOf } from './tenure';
import { NO_MARKS, type VolumeMarks } from './volume';

export interface Identity {
  readonly cluster: string;
  readonly server: string;
  readonly bootId: string;
}

/** What `LocalPostgres` shows. */
export interface SeenOfPostgres {
  readonly report: PostgresReport;
  readonly rare: RareFacts | null;
  readonly streamProblem: Problem | null;
  readonly isOutOfReach: boolean;
  /** Absent: it is not. */
  readonly isSecluded?: boolean;
}

interface Values {
  readonly assignment: Assignment | null;
  /** How far each standby's WAL is on disk, by the leader's knowledge. */
  readonly positions: Readonly<Record<string, Lsn>>;
  readonly volume: VolumeReport;
  readonly marks: VolumeMarks;
  /** What is known of the way back to the upstream; null when there is nothing of note. */
  readonly rejoin: Rejoin | null;
  /** The upstream written by this boot. */
  readonly upstream: Upstream | null;
  /** An address where the upstream was not, whatever it had said. */
  readonly misledBy: string | null;
  /** The settings that the running server has been told. */
  readonly settingsApplied: InstanceSettings | null;
  /** Limits that are not in force here before the primary has them so low. */
  readonly heldBack: readonly string[];
  /** Text of the settings with which PostgreSQL has not started, and why. */
  readonly refused: { readonly text: string; readonly problem: Problem } | null;
  /** The settings for which the roles were looked at since the server became primary. */
  readonly rolesEnsured: InstanceSettings | null;
  readonly checkpointedFor: string | null;
  readonly restartedFor: string | null;
  /** The roll call for which the server has been looked at anew. */
  readonly rollCall: string | null;
  /** The set that the running server has been told, as its setting's text. */
  readonly syncApplied: string | null;
  /** The restore whose point was in none of the WAL. */
  readonly missed: string | null;
  readonly isLeaving: boolean;
  readonly divergence: Divergence | null;
  readonly busy: string | null;
  readonly problem: Problem | null;
}

export interface Remembered {
  readonly marks: VolumeMarks;
  readonly divergence: Divergence | null;
}

export interface LocalStateOptions {
  readonly identity: Identity;
  readonly taskId: string | null;
  readonly volume: VolumeReport;
  /** What the volume remembers of earlier boots. */
  readonly remembered?: Remembered;
  readonly onChange: () => void;
  readonly dataVolume: () => VolumeRoom | null;
  readonly archive: () => ArchiveReport | null;
  readonly backups: () => Pick<Report, 'backup' | 'backups' | 'load'>;
  readonly rehearsals: () => Pick<Report, 'rehearsal'>;
  readonly restoring: () => Pick<Report, 'prospect' | 'restored'>;
  /** How long this instance will not be promoted yet; null when it may be. */
  readonly promiseLeftMs: () => number | null;
  /** What PostgreSQL waits for a restart with is known since it was told its settings. */
  readonly hasSeenReload: () => boolean;
  /** In the cluster's network. */
  readonly ownAddress: (subnet: string) => string | null;
}

/** A warm standby cannot be asked whether it waits for a restart. */
function withPending(postgres: PostgresReport, assignment: Assignment | null): PostgresReport {
  if (postgres.state !== 'standby' || postgres.isWarm !== true || assignment === null) {
    return postgres;
  }
  const isRight = assignment.settings.late?.hotStandby === false;
  return isRight ? postgres : { ...postgres, pendingRestart: ['hot_standby'] };
}

export class LocalState {
  readonly #options: LocalStateOptions;
  #sequence = 0;
  #values: Values;

  constructor(options: LocalStateOptions) {
    this.#options = options;
    this.#values = {
      assignment: null,
      positions: {},
      volume: options.volume,
      marks: options.remembered?.marks ?? NO_MARKS,
      rejoin: null,
      upstream: null,
      misledBy: null,
      settingsApplied: null,
      heldBack: [],
      refused: null,
      rolesEnsured: null,
      checkpointedFor: null,
      restartedFor: null,
      rollCall: null,
      syncApplied: null,
      missed: null,
      isLeaving: false,
      divergence: options.remembered?.divergence ?? null,
      busy: null,
      problem: null,
    };
  }

  get values(): Values {
    return this.#values;
  }

  set(changes: Partial<Omit<Values, 'assignment' | 'positions'>>): void {
    const before = JSON.stringify(this.#values);
    this.#values = { ...this.#values, ...changes };
    if (JSON.stringify(this.#values) !== before) this.#options.onChange();
  }

  /** Whatever PostgreSQL is started for, a start is what a restart that is asked for wants. */
  noteRestart(): void {
    const { task } = this.#values.assignment ?? {};
    const restartFor = task !== undefined && 'restartFor' in task ? task.restartFor : null;
    if (restartFor !== null) this.set({ restartedFor: restartFor });
  }

  /** Without notice: who calls this says himself that there is a new assignment. */
  assign(assignment: Assignment, positions: Readonly<Record<string, Lsn>>): void {
    this.#values = { ...this.#values, assignment, positions };
  }

  /** What `nextAction` looks at. */
  facts(
    { report, rare, streamProblem, isOutOfReach, isSecluded = false }: SeenOfPostgres,
    tenure: Permission,
  ): LocalFacts {
    const { assignment, volume, upstream, checkpointedFor } = this.#values;
    return {
      task: assignment?.task ?? null,
      term: assignment?.term ?? null,
      volume,
      marks: this.#values.marks,
      rejoin: this.#values.rejoin,
      postgres: report,
      upstream,
      hasSettings: this.#isOfAssignment(this.#values.settingsApplied),
      hasRoles: this.#isOfAssignment(this.#values.rolesEnsured),
      slots: rare?.slots ?? null,
      checkpointedFor,
      streamProblem,
      isOutOfReach,
      misledBy: this.#values.misledBy,
      isSecluded,
      missed: this.#values.missed,
      ...tenure,
      syncApplied: this.#values.syncApplied,
      restartedFor: this.#values.restartedFor,
      positions: this.#values.positions,
    };
  }

  #isOfAssignment(settings: InstanceSettings | null): boolean {
    const { assignment } = this.#values;
    return JSON.stringify(settings) === JSON.stringify(assignment?.settings ?? null);
  }

  #address(): { readonly address?: string } {
    const subnet = this.#values.assignment?.settings.subnet;
    const address = subnet === undefined ? null : this.#options.ownAddress(subnet);
    return address === null ? {} : { address };
  }

  #told(): { readonly generation?: number | null } {
    const { assignment, settingsApplied } = this.#values;
    if (assignment?.generation === undefined) return {};
    const isTold = this.#isOfAssignment(settingsApplied) && this.#options.hasSeenReload();
    return { generation: isTold ? assignment.generation : null };
  }

  /** The present, without a sequence number. */
  picture(postgres: PostgresReport): Omit<Report, 'sequence'> {
    const { assignment, volume, busy, problem, checkpointedFor, rollCall } = this.#values;
    const { restartedFor, isLeaving, divergence, heldBack, refused } = this.#values;
    const obeys =
      assignment === null
        ? null
        : {
            leaderEpoch: assignment.leaderEpoch,
            term: assignment.term,
            task: assignment.task.kind,
            contract: contractOf(assignment),
            rollCall,
          };
    return {
      ...this.#options.identity,
      obeys,
      volume,
      ...this.#address(),
      postgres: withPending(postgres, assignment),
      settings: { heldBack, refused: refused?.problem ?? null, ...this.#told() },
      busy,
      problem,
      checkpointedFor,
      taskId: this.#options.taskId,
      promiseLeftMs: this.#options.promiseLeftMs(),
      isLeaving,
      restartedFor,
      divergence,
      dataVolume: this.#options.dataVolume(),
      archive: this.#options.archive(),
      ...this.#options.backups(),
      ...this.#options.rehearsals(),
      ...this.#options.restoring(),
    };
  }

  /** A report that is newer than all before it. */
  report(postgres: PostgresReport): Report {
    this.#sequence += 1;
    return { ...this.picture(postgres), sequence: this.#sequence };
  }
}
