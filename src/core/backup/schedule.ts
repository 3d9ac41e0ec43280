/**
 * When a schedule is due. Its expression is that of cron, by the clock of its time zone: a moment
 * that a change to summer time leaves out comes right after the change, one that is there twice
 * counts once.
 */
import { Cron } from 'croner';
import { type ScheduleSpec } from '../spec';

export type CronTime = Pick<ScheduleSpec, 'schedule' | 'timeZone'>;

export interface Due {
  /** ISO 8601, the last moment. */
  readonly at: string;
  /** How many moments there were. */
  readonly count: number;
}

/** A leap day comes once in eight years at worst. */
const FROM = '2000-01-01T00:00:00.000Z';
const FIELDS = 5;
/** More than this nobody counts. */
export const COUNT_MAX = 1000;

/** What is wrong with an expression; null: nothing. */
export function whyNoSchedule(schedule: string): string | null {
  const fields = schedule.trim().split(/\s+/).length;
  if (!schedule.startsWith('@') && fields !== FIELDS) {
    return `it has ${fields} fields instead of ${FIELDS}: minute, hour, day of the month, month, day of the week`;
  }
  try {
    return nextDue({ schedule, timeZone: 'UTC' }, FROM) === null ? 'it is never due' : null;
  } catch (error) {
    return (error as Error).message.replace(/^Cron\w+: /, '');
  }
}

export function isTimeZone(name: string): boolean {
  try {
    return new Intl.DateTimeFormat('en', { timeZone: name }).format(0) !== '';
  } catch {
    return false;
  }
}

/** The first moment after another one; null when there is none. */
export const nextDue = (time: CronTime, after: string): string | null =>
  parsed(time).nextRun(new Date(after))?.toISOString() ?? null;

/** The moments from one that is due on, up to now; null while that is still to come. */
export function dueBy(time: CronTime, first: string, now: string): Due | null {
  if (Date.parse(first) > Date.parse(now)) return null;
  const cron = parsed(time);
  const until = new Date(now);
  let at = new Date(first);
  for (let count = 1; count < COUNT_MAX; count += 1) {
    const next = cron.nextRun(at);
    if (next === null || next > until) return { at: at.toISOString(), count };
    at = next;
  }
  return { at: at.toISOString(), count: COUNT_MAX };
}

const parsed = ({ schedule, timeZone }: CronTime): Cron =>
  new Cron(schedule, { timezone: timeZone, mode: '5-part', paused: true });
