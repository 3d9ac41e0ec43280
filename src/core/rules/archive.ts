/** The archives of the servers: WAL that is not archived is a promise that is not kept. */
import { archivePauseLeftMs } from '../archive/pause';
import { bestWindow } from '../archive/window-report';
import { type ArchiveFailure, type ArchiveReport } from '../protocol';
import { formatDuration } from '../quantities';
import { type View } from '../situation';
import { archiveResumed } from '../transitions';
import { recorded, rule, type ConditionRaised, type Rule } from './rule';

/** PostgreSQL tries again by itself: what is over sooner is not worth anybody's attention. */
const FAILING_AFTER_MS = 15_000;

const notArchived = (reason: string): ConditionRaised => ({ type: 'WalArchived', reason });

interface Failing {
  readonly server: string;
  readonly failure: ArchiveFailure;
  readonly waiting: number;
}

interface Paused {
  readonly server: string;
  readonly leftMs: number;
}

const pausesOver = ({ state, situation }: View): readonly string[] =>
  Object.keys(state.archivePauses).filter(
    (server) => archivePauseLeftMs(state.archivePauses, server, situation.now) === null,
  );

export const archiveRules: readonly Rule[] = [
  rule<readonly Failing[]>({
    id: 'archive-failing',
    section: 'archive',
    about: 'A server’s WAL is not archived; PostgreSQL keeps it and tries again.',
    when: (view) =>
      someOf(view, ({ failure, waiting }, server) =>
        failure === null || failure.forMs < FAILING_AFTER_MS ? null : { server, failure, waiting },
      ),
    because: (failing) =>
      failing
        .map(
          ({ server, failure, waiting }) =>
            `${server} has archived nothing for ${duration(failure.forMs)}, ${files(waiting)}: ${failure.message}`,
        )
        .join('; '),
    condition: ([first]) => notArchived(first?.failure.reason ?? 'ArchiveFailing'),
  }),
  rule<readonly string[]>({
    id: 'archive-pause-over',
    section: 'archive',
    about: 'The time is over for which a person has paused archiving.',
    when: (view) => {
      const over = pausesOver(view);
      return over.length === 0 ? null : over;
    },
    because: (servers) =>
      `the time is over for which archiving was paused on ${servers.join(', ')}`,
    steps: (servers, view) =>
      recorded(view, archiveResumed(view.state, servers), {
        rule: 'archive-pause-over',
        summary: `note that archiving goes on on ${servers.join(', ')}`,
        message: `archiving goes on on ${servers.join(', ')}: the time of the pause is over`,
      }),
  }),
  rule<readonly Paused[]>({
    id: 'archive-paused',
    section: 'archive',
    about: 'A person has paused archiving; it goes on by itself when the time is over.',
    when: (view) =>
      someOf(view, ({ pausedLeftMs }, server) =>
        pausedLeftMs === null ? null : { server, leftMs: pausedLeftMs },
      ),
    because: (paused, { spec, state }) =>
      paused
        .map(({ server, leftMs }) => {
          const by = state.archivePauses[server]?.by;
          return `archiving on ${server} is paused${by === undefined ? '' : ` by ${by}`} for ${duration(leftMs)} more`;
        })
        .concat(`end it: pgswarm archive resume ${spec.cluster}`)
        .join('; '),
    condition: notArchived('ArchivingPaused'),
  }),
  rule<string>({
    id: 'recovery-window-broken',
    section: 'archive',
    about:
      'There is a backup, and no server’s archive leads from it to everything that was archived since.',
    when: ({ servers }) => {
      const best = bestWindow(servers.flatMap(({ report }) => report?.archive?.window ?? []));
      return best?.isDisturbed === true ? best.because : null;
    },
    because: (missing, { spec }) =>
      `not every point in time can be restored: ${missing}; a new backup opens a new window: pgswarm backup ${spec.cluster}`,
    condition: { type: 'RecoveryWindow', reason: 'WalMissing' },
  }),
];

/** What is found in the servers' archives; null when it is nothing. */
function someOf<Found>(
  { servers }: View,
  find: (archive: ArchiveReport, server: string) => Found | null,
): readonly Found[] | null {
  const found = servers.flatMap(({ name, report }) =>
    report?.archive == null ? [] : (find(report.archive, name) ?? []),
  );
  return found.length === 0 ? null : found;
}

const duration = (ms: number): string => formatDuration(Math.round(ms / 1000) * 1000);

const files = (count: number): string =>
  count === 1 ? '1 file is waiting' : `${count} files are waiting`;
