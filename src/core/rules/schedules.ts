/**
 * Backups by schedule. What the record says of a schedule is when it is due next: so a moment at
 * which nobody could decide is not lost, and however many were missed, one backup makes up for them.
 */
import { dueBy, nextDue, type Due } from '../backup/schedule';
import { type View } from '../situation';
import { type ScheduleSpec } from '../spec';
import { type ClusterState, type ScheduleState } from '../state';
import { scheduledBackupRequested, schedulesFollowed } from '../transitions';
import { awaitedIn, serverFor } from './backup';
import { recorded, rule, type Rule } from './rule';

type Schedules = ClusterState['schedules'];

interface DueSchedule {
  readonly spec: ScheduleSpec;
  readonly followed: ScheduleState;
  /** Since when it waits. */
  readonly since: string;
}

export const scheduleRules: readonly Rule[] = [
  rule<Schedules>({
    id: 'schedules-follow',
    section: 'backup',
    about: 'Schedules are new, changed, suspended or gone: what was due before does not count.',
    when: (view) => {
      const { state } = view;
      if (state.primary === null) return null;
      const { schedules } = state;
      const declared = view.spec.backup.schedules.filter(({ suspend }) => !suspend);
      const isFollowed =
        declared.length === Object.keys(schedules).length &&
        declared.every((each) => isSame(each, schedules[each.name]));
      return isFollowed ? null : toFollow(declared, view);
    },
    because: (schedules) => `the schedules of backups have changed: ${describe(schedules)}`,
    steps: (schedules, view) =>
      recorded(view, schedulesFollowed(view.state, schedules), {
        rule: 'schedules-follow',
        summary: 'follow the schedules of backups',
        message: `schedules of backups: ${describe(schedules)}`,
      }),
  }),
  rule<DueSchedule>({
    id: 'schedule-due',
    section: 'backup',
    about:
      'A schedule is due, no backup and no restarts are under way, and a server can take one: once, however often it was missed.',
    when: (view) => {
      const { backup, change, restart } = view.state;
      if (backup !== null || change !== null || restart !== null) return null;
      return dueIn(view).find(({ spec }) => serverFor(view, spec) !== null) ?? null;
    },
    because: ({ spec, since }) => `schedule ${spec.name} is due since ${since}`,
    steps: ({ spec, followed, since }, view) => {
      const { now } = view.situation;
      const due = dueBy(spec, since, now) ?? { at: since, count: 1 };
      const next = {
        name: spec.name,
        followed: {
          ...followed,
          nextDueAt: nextDue(spec, now),
          last: { dueAt: due.at, at: now },
        },
      };
      return recorded(view, scheduledBackupRequested(view.state, requestOf(spec, now), next), {
        rule: 'schedule-due',
        summary: `ask for the ${spec.method} backup of schedule ${spec.name}`,
        message: `schedule ${spec.name} asks for a ${spec.method} backup: ${wordsOf(due, since)}`,
      });
    },
  }),
  rule<DueSchedule>({
    id: 'schedule-waits',
    section: 'backup',
    about: 'A schedule is due, and no server can take its backup now.',
    when: (view) => (view.state.backup === null ? (dueIn(view)[0] ?? null) : null),
    because: ({ spec, since }, view) =>
      `schedule ${spec.name} is due since ${since} and waits for ${awaitedIn(view, spec)}`,
  }),
];

/** Those that are due, in the spec's order. */
function dueIn({ spec, state, situation }: View): readonly DueSchedule[] {
  const nowMs = Date.parse(situation.now);
  return spec.backup.schedules.flatMap((each) => {
    const followed = state.schedules[each.name];
    const since = followed?.nextDueAt ?? null;
    if (followed === undefined || since === null || Date.parse(since) > nowMs) return [];
    return [{ spec: each, followed, since }];
  });
}

function toFollow(declared: readonly ScheduleSpec[], { state, situation }: View): Schedules {
  return Object.fromEntries(
    declared.map((each) => {
      const before = state.schedules[each.name];
      if (before !== undefined && isSame(each, before)) return [each.name, before];
      const { schedule, timeZone } = each;
      const nextDueAt = nextDue(each, situation.now);
      return [each.name, { schedule, timeZone, nextDueAt, last: before?.last ?? null }];
    }),
  );
}

const isSame = (declared: ScheduleSpec, followed: ScheduleState | undefined): boolean =>
  followed?.schedule === declared.schedule && followed.timeZone === declared.timeZone;

const requestOf = (
  { name, method, incremental, server }: ScheduleSpec,
  at: string,
): Parameters<typeof scheduledBackupRequested>[1] => ({
  method,
  incremental,
  format: 'tar',
  bytesPerSecondMax: null,
  server,
  by: `schedule ${name}`,
  at,
});

const describe = (schedules: Schedules): string =>
  Object.entries(schedules)
    .map(([name, { nextDueAt }]) => `${name}, next at ${nextDueAt ?? 'no time'}`)
    .join('; ') || 'none is followed';

const wordsOf = ({ at, count }: Due, since: string): string =>
  count === 1
    ? `it was due at ${at}`
    : `it was due at ${at}, and ${count - 1} ${count === 2 ? 'time' : 'times'} since ${since}, when none could be taken`;
