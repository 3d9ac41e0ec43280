/** Restore drills by schedule: as with backups, one drill makes up for all that were missed. */
import { nextDue } from '../backup/schedule';
import { DRILL_TARGET } from '../restore/rehearsal';
import { type View } from '../situation';
import { type ScheduleState } from '../state';
import { drillScheduleFollowed, rehearsalRequested } from '../transitions';
import { serverFor } from './backup';
import { recorded, rule, type Rule } from './rule';

interface Followed {
  readonly schedule: ScheduleState | null;
}

export const drillScheduleRules: readonly Rule[] = [
  rule<Followed>({
    id: 'drill-schedule',
    section: 'backup',
    about:
      'The schedule of restore drills is new, changed or gone: what was due before does not count.',
    when: (view) => {
      const { primary, drillSchedule: before } = view.state;
      const wanted = toFollow(view);
      const isSame = wanted?.schedule === before?.schedule && wanted?.timeZone === before?.timeZone;
      return primary === null || isSame ? null : { schedule: wanted };
    },
    because: (followed) => `the schedule of restore drills has changed: ${describe(followed)}`,
    steps: (followed, view) =>
      recorded(view, drillScheduleFollowed(view.state, followed.schedule), {
        rule: 'drill-schedule',
        summary: 'follow the schedule of restore drills',
        message: `restore drills: ${describe(followed)}`,
      }),
  }),
  rule<ScheduleState>({
    id: 'drill-due',
    section: 'backup',
    about: 'A restore drill is due, no other restore is under way, and a server can make it.',
    when: (view) => {
      const { drillSchedule: followed, rehearsal, change, restore } = view.state;
      const dueAt = followed?.nextDueAt ?? null;
      if (followed === null || dueAt === null) return null;
      if (rehearsal !== null || change !== null || restore !== null) return null;
      const isDue = Date.parse(dueAt) <= Date.parse(view.situation.now);
      return isDue && serverFor(view, { server: serverOf(view) }) !== null ? followed : null;
    },
    because: ({ nextDueAt }) => `a restore drill is due since ${nextDueAt ?? ''}`,
    steps: (followed, view) => {
      const { now } = view.situation;
      const { nextDueAt } = followed;
      const requested = rehearsalRequested(view.state, {
        kind: 'drill',
        target: DRILL_TARGET,
        backup: null,
        server: serverOf(view),
        by: 'the schedule of the spec',
        at: now,
      });
      const next = {
        ...followed,
        nextDueAt: nextDue(followed, now),
        last: { dueAt: nextDueAt ?? now, at: now },
      };
      return recorded(view, drillScheduleFollowed(requested, next), {
        rule: 'drill-due',
        summary: 'ask for a restore drill',
        message: `a restore drill is due since ${nextDueAt ?? ''}`,
      });
    },
  }),
];

function toFollow({ spec, situation }: View): ScheduleState | null {
  const { schedule = null, timeZone = 'UTC' } = spec.backup.drill ?? {};
  if (schedule === null) return null;
  const time = { schedule, timeZone };
  return { ...time, nextDueAt: nextDue(time, situation.now), last: null };
}

const serverOf = ({ spec }: View): string | null => spec.backup.drill?.server ?? null;

const describe = ({ schedule }: Followed): string =>
  schedule === null ? 'none by itself' : `the next one at ${schedule.nextDueAt ?? 'no time'}`;
