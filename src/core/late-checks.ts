/** Checks of the servers that are late on purpose: what they cannot be, and what they need. */
import type { ServerDraft, SpecDraft } from './draft';
import { errorAt, fieldPath, warningAt, type Finding } from './findings';
import { DEFAULTS } from './generated';
import { parseDuration } from './quantities';

/** Whether `withDefaults` would make it a late one. */
export function isLateDraft(server: ServerDraft | undefined): boolean {
  return server !== undefined && lateFields(server).length > 0;
}

/** Names of the late servers, as far as they have one. */
export const lateNames = ({ servers }: SpecDraft): readonly string[] =>
  (servers ?? []).flatMap((server) => (isLateDraft(server) ? (server?.name ?? []) : []));

export function checkLate(spec: SpecDraft): Finding[] {
  return (spec.servers ?? []).flatMap((server, index) => {
    if (server === undefined) return [];
    const at = `spec.servers[${index}]`;
    return [
      ...checkWarm(at, server),
      ...(isLateDraft(server) ? [...checkDuty(server, spec), ...checkFeed(at, server, spec)] : []),
    ];
  });
}

/** The fields that make it late, as the user wrote them. */
function lateFields({ replication, applyDelay }: ServerDraft): readonly string[] {
  const delay = applyDelay === undefined ? null : parseDuration(applyDelay);
  return [
    ...(replication === 'archive' ? ['`replication: archive`'] : []),
    ...(delay?.kind === 'value' && delay.value > 0 ? [`\`applyDelay: ${applyDelay ?? ''}\``] : []),
  ];
}

/** pgswarm watches a standby that streams by asking it. */
function checkWarm(at: string, { replication, hotStandby }: ServerDraft): Finding[] {
  if (hotStandby !== false || replication === 'archive') return [];
  const message = 'a standby that streams must answer queries: it may have to take over';
  return [errorAt(`${at}.hotStandby`, message, 'remove it, or write `replication: archive`')];
}

/** What a late server cannot be asked to do. */
function checkDuty(server: ServerDraft, { primary, failover }: SpecDraft): Finding[] {
  const { name } = server;
  if (name === undefined) return [];
  const why = `${name} has ${lateFields(server).join(' and ')}`;
  const findings: Finding[] = [];
  if (name === primary) {
    const message = `${why}: it follows a primary, and cannot be it`;
    const hint = 'declare a server that streams, or remove that';
    findings.push(errorAt('spec.primary', message, hint));
  }
  if ((failover?.priorities?.[name] ?? 0) > 0) {
    const message = `${why}: it never takes over by itself`;
    const at = fieldPath('spec.failover.priorities', name);
    findings.push(errorAt(at, message, 'remove the priority, or write 0'));
  }
  return findings;
}

function checkFeed(
  at: string,
  { name, replication }: ServerDraft,
  { archive }: SpecDraft,
): Finding[] {
  const timeout = parseDuration(archive?.timeout ?? DEFAULTS.archive.timeout);
  const isUnbounded = timeout.kind === 'value' && timeout.value === 0;
  if (replication !== 'archive' || !isUnbounded) return [];
  const message = `${name ?? 'it'} gets only whole segments of WAL: while little is written it may fall behind by days`;
  return [warningAt(`${at}.replication`, message, 'write an `archive.timeout`, such as 5m')];
}
