/** What can be wrong with `spec.backup.schedules` and `spec.backup.drill` beside the types of their fields. */
import { type ScheduleDraft, type SpecDraft } from '../draft';
import { errorAt, quoted, warningAt, type Finding } from '../findings';
import { isTimeZone, whyNoSchedule } from './schedule';

export function checkSchedules({ backup, servers, postgres }: SpecDraft): Finding[] {
  const names = new Set((servers ?? []).map((server) => server?.name));
  const parameters = postgres?.parameters ?? {};
  const isSummarized = ['on', 'true', 'yes', '1'].includes(
    String(parameters['summarize_wal']).toLowerCase(),
  );
  const first = new Map<string, string>();
  const at = 'spec.backup.drill';
  const drill = backup?.drill ?? {};
  const findings = [...checkTime(at, drill), ...checkServer(at, drill, names)];
  const ofSchedules = (backup?.schedules ?? []).flatMap((schedule, index) => {
    if (schedule === undefined) return [];
    const at = `spec.backup.schedules[${index}]`;
    return [
      ...checkName(at, schedule, first),
      ...checkTime(at, schedule),
      ...checkServer(at, schedule, names),
      ...checkMethod(at, schedule, isSummarized),
    ];
  });
  return [...ofSchedules, ...findings];
}

function checkName(at: string, { name }: ScheduleDraft, first: Map<string, string>): Finding[] {
  if (name === undefined) return [];
  const twin = first.get(name);
  if (twin === undefined) {
    first.set(name, at);
    return [];
  }
  const message = `there is a schedule ${name} already, at ${twin}`;
  return [errorAt(`${at}.name`, message, 'give each schedule a name of its own')];
}

function checkTime(
  at: string,
  { schedule, timeZone }: Pick<ScheduleDraft, 'schedule' | 'timeZone'>,
): Finding[] {
  const because = schedule === undefined ? null : whyNoSchedule(schedule);
  const isKnown = timeZone === undefined || isTimeZone(timeZone);
  return [
    ...(because === null
      ? []
      : [
          errorAt(
            `${at}.schedule`,
            `${quoted(schedule ?? '')} is not a schedule: ${because}`,
            'write it as in a crontab: "0 2 * * *" is every night at two',
          ),
        ]),
    ...(isKnown
      ? []
      : [
          errorAt(
            `${at}.timeZone`,
            `there is no time zone ${quoted(timeZone)}`,
            'use an IANA name, such as Europe/Berlin or UTC',
          ),
        ]),
  ];
}

function checkServer(
  at: string,
  { server }: Pick<ScheduleDraft, 'server'>,
  names: ReadonlySet<string | undefined>,
): Finding[] {
  // A name that is wrong itself may be the one that was meant.
  if (server === undefined || names.size === 0 || names.has(undefined)) return [];
  if (names.has(server)) return [];
  const known = [...names].sort().join(', ');
  const hint = `name one of the servers (${known}), or remove it`;
  return [errorAt(`${at}.server`, `there is no server ${quoted(server)}`, hint)];
}

function checkMethod(
  at: string,
  { method, incremental }: ScheduleDraft,
  isSummarized: boolean,
): Finding[] {
  if (incremental !== true) return [];
  if (method === 'dump' || method === 'snapshot') {
    const hint = 'remove it, or write `method: base`';
    return [errorAt(`${at}.incremental`, `a ${method} is never incremental`, hint)];
  }
  if (isSummarized) return [];
  const message = 'WAL is not summarized, so every one of these backups will be full';
  const hint = 'write `summarize_wal: on` under spec.postgres.parameters';
  return [warningAt(`${at}.incremental`, message, hint)];
}
