/**
 * Whether the spec can deliver the availability and the durability that it asks for: how many
 * standbys there are, who of them may take over, and what a commit waits for.
 */
import { parameterText } from './defaults';
import { checkLate, isLateDraft, lateNames } from './late-checks';
import type { SpecDraft } from './draft';
import { errorAt, fieldPath, quoted, warningAt, type Finding } from './findings';
import { DEFAULTS } from './generated';
import { nearest } from './nearest';

/** Findings of `replication` and `failover`, with the servers that there are. */
export function checkAvailability(spec: SpecDraft): Finding[] {
  return [
    ...checkLate(spec),
    ...checkNumber(spec),
    ...checkCommits(spec),
    ...checkPriorities(spec),
    ...checkCandidates(spec),
    ...checkFailback(spec),
  ];
}

const modeOf = ({ failover }: SpecDraft): string => failover?.mode ?? DEFAULTS.failover.mode;

/** null while a name is missing: it may be the one that was meant. */
function namesOf({ servers }: SpecDraft): readonly string[] | null {
  const names = (servers ?? []).flatMap((server) => server?.name ?? []);
  return names.length > 0 && names.length === servers?.length ? names : null;
}

// ── what a commit waits for ──────────────────────────────────────────────────────────────────

function checkNumber({ servers, replication }: SpecDraft): Finding[] {
  const at = 'spec.replication.synchronous.number';
  const { number, durability } = replication?.synchronous ?? {};
  if (number === undefined || servers === undefined || servers.length === 0) return [];
  const standbys = servers.filter((server) => !isLateDraft(server)).length - 1;
  if (standbys < 0) return [];
  if (number > standbys) return [tooMany(at, number, standbys)];
  if (number < standbys || durability !== 'required') return [];
  const all = standbys === 1 ? 'the only standby' : `each of the ${standbys} standbys`;
  return [
    warningAt(
      at,
      `${all} must have every commit: when one standby is away, all writes wait for it`,
      'use a smaller number, add a server, or write `durability: preferred`',
    ),
  ];
}

function tooMany(at: string, number: number, standbys: number): Finding {
  const wanted = number === 1 ? 'a standby' : `${number} standbys`;
  const message = `${wanted} must have every commit, and there ${standbys === 1 ? 'is' : 'are'} ${standbys || 'none'}`;
  const hint =
    standbys === 0
      ? 'remove `replication.synchronous`, or add a server'
      : `use ${standbys}${standbys === 1 ? '' : ' or less'}, or add servers`;
  return errorAt(at, message, hint);
}

/** PostgreSQL takes a yes or a no for it, too (manual: "synchronous_commit"). */
const UNCOVERED: Readonly<Record<string, string>> = {
  ...Object.fromEntries(
    ['off', 'false', 'no', '0', 'local'].map((value) => [
      value,
      'commits do not wait for standbys',
    ]),
  ),
  remote_write: 'commits wait until standbys have them in memory, not on disk',
};

function checkCommits({ replication, postgres }: SpecDraft): Finding[] {
  if (replication?.synchronous === undefined) return [];
  return Object.entries(postgres?.parameters ?? {}).flatMap(([name, value]) => {
    if (name.toLowerCase() !== 'synchronous_commit' || value === undefined) return [];
    const text = parameterText(value).toLowerCase();
    const consequence = Object.hasOwn(UNCOVERED, text) ? UNCOVERED[text] : undefined;
    if (consequence === undefined) return [];
    const message = `${consequence}: synchronous replication does not cover them, and a failover may lose them`;
    const hint = `remove it; a session that can bear the loss sets it for itself: SET synchronous_commit = ${text}`;
    return [warningAt(fieldPath('spec.postgres.parameters', name), message, hint)];
  });
}

// ── who may take over ────────────────────────────────────────────────────────────────────────

function checkPriorities(spec: SpecDraft): Finding[] {
  const names = namesOf(spec);
  if (names === null) return [];
  return Object.keys(spec.failover?.priorities ?? {})
    .filter((name) => !names.includes(name))
    .map((name) => {
      const meant = nearest(name, names);
      const hint =
        meant === null
          ? `name one of the servers: ${[...names].sort().join(', ')}`
          : `did you mean \`${meant}\`?`;
      const at = fieldPath('spec.failover.priorities', name);
      return errorAt(at, `there is no server ${quoted(name)}`, hint);
    });
}

function checkCandidates(spec: SpecDraft): Finding[] {
  const { primary, failover } = spec;
  const standbys = namesOf(spec)?.filter((name) => name !== primary) ?? [];
  if (primary === undefined || standbys.length === 0 || modeOf(spec) !== 'automatic') return [];
  const late = lateNames(spec);
  if (standbys.every((name) => late.includes(name))) {
    return [
      warningAt(
        'spec.servers',
        `every standby is late on purpose: nobody can take over when ${primary} is gone`,
        'add a server that streams, or write `failover.mode: manual`',
      ),
    ];
  }
  const ready = standbys.filter((name) => !late.includes(name));
  if (ready.some((name) => failover?.priorities?.[name] !== 0)) return [];
  return [
    warningAt(
      'spec.failover.priorities',
      `every standby has priority 0: nobody can take over when ${primary} is gone`,
      'give a standby a higher priority, or write `mode: manual`',
    ),
  ];
}

function checkFailback(spec: SpecDraft): Finding[] {
  if (spec.failover?.failback !== 'auto' || modeOf(spec) === 'automatic') return [];
  return [
    warningAt(
      'spec.failover.failback',
      'without automatic failover there is nothing to move back: this has no effect',
      'remove it, or write `mode: automatic`',
    ),
  ];
}
