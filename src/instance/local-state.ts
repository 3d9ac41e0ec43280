/** What this instance knows of itself, beside what PostgreSQL says; and the report made of both. */
import {
  type Assignment,
  type InstanceSettings,
  type PostgresReport,
  type Problem,
  type Report,
  type Upstream,
  type VolumeReport,
} from '../core/protocol';
import { type RareFacts } from '../adapters/postgres/observe';
import { type LocalFacts } from './next-action';

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
}

interface Values {
  readonly assignment: Assignment | null;
  readonly volume: VolumeReport;
  /** The upstream written by this boot. */
  readonly upstream: Upstream | null;
  /** The settings that the running server has been told. */
  readonly settingsApplied: InstanceSettings | null;
  /** The settings for which the roles were looked at since the server became primary. */
  readonly rolesEnsured: InstanceSettings | null;
  readonly checkpointedFor: string | null;
  readonly busy: string | null;
  readonly problem: Problem | null;
}

export class LocalState {
  readonly #identity: Identity;
  readonly #onChange: () => void;
  #sequence = 0;
  #values: Values;

  constructor(identity: Identity, volume: VolumeReport, onChange: () => void) {
    this.#identity = identity;
    this.#onChange = onChange;
    this.#values = {
      assignment: null,
      volume,
      upstream: null,
      settingsApplied: null,
      rolesEnsured: null,
      checkpointedFor: null,
      busy: null,
      problem: null,
    };
  }

  get values(): Values {
    return this.#values;
  }

  set(changes: Partial<Omit<Values, 'assignment'>>): void {
    const before = JSON.stringify(this.#values);
    this.#values = { ...this.#values, ...changes };
    if (JSON.stringify(this.#values) !== before) this.#onChange();
  }

  /** Without notice: who calls this says himself that there is a new assignment. */
  assign(assignment: Assignment): void {
    this.#values = { ...this.#values, assignment };
  }

  /** What `nextAction` looks at. */
  facts({ report, rare, streamProblem }: SeenOfPostgres): LocalFacts {
    const { assignment, volume, upstream, checkpointedFor } = this.#values;
    const isSame = (applied: InstanceSettings | null): boolean =>
      JSON.stringify(applied) === JSON.stringify(assignment?.settings ?? null);
    return {
      task: assignment?.task ?? null,
      volume,
      postgres: report,
      upstream,
      hasSettings: isSame(this.#values.settingsApplied),
      hasRoles: isSame(this.#values.rolesEnsured),
      slots: rare?.slots ?? null,
      checkpointedFor,
      streamProblem,
    };
  }

  /** The present, without a sequence number. */
  picture(postgres: PostgresReport): Omit<Report, 'sequence'> {
    const { assignment, volume, busy, problem, checkpointedFor } = this.#values;
    const obeys =
      assignment === null
        ? null
        : {
            leaderEpoch: assignment.leaderEpoch,
            term: assignment.term,
            task: assignment.task.kind,
            contract: assignment.task.kind === 'primary' ? assignment.task.contract : null,
            rollCall: null,
          };
    return {
      ...this.#identity,
      obeys,
      volume,
      postgres,
      busy,
      problem,
      checkpointedFor,
      taskId: null,
      promiseLeftMs: null,
      isLeaving: false,
      restartedFor: null,
      divergence: null,
    };
  }

  /** A report that is newer than all before it. */
  report(postgres: PostgresReport): Report {
    this.#sequence += 1;
    return { ...this.picture(postgres), sequence: this.#sequence };
  }
}
