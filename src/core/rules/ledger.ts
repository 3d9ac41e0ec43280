/** What is found out after a change of role, and must outlive the leader that saw it. */
import { type Divergence } from '../protocol';
import { formatSize } from '../quantities';
import { lossMeasured, timelineRecorded } from '../transitions';
import { type ServerView, type View } from '../situation';
import { recorded, rule, type Rule } from './rule';

interface Found {
  readonly server: ServerView;
  readonly divergence: Divergence;
}

/** A loss that a rejoined server has counted and that the ledger does not have yet. */
function uncounted({ servers, state }: View): Found | null {
  for (const server of servers) {
    const divergence = server.report?.divergence ?? null;
    if (divergence === null) continue;
    const isKnown = state.losses.some(
      ({ term, server: name, measured }) =>
        measured !== null && term === divergence.term && name === server.name,
    );
    if (!isKnown) return { server, divergence };
  }
  return null;
}

export const ledgerRules: readonly Rule[] = [
  rule<number>({
    id: 'record-timeline',
    section: 'contract',
    about: 'The primary’s timeline is recorded: a standby on an earlier one is not promoted.',
    when: ({ primary, state }) => {
      const timeline = primary?.asPrimary?.timeline;
      const isOfTerm = primary?.report?.obeys?.term === state.term && state.change === null;
      return timeline === undefined || !isOfTerm || timeline === state.timeline ? null : timeline;
    },
    because: (timeline, { state }) => `${state.primary ?? ''} is on timeline ${timeline}`,
    steps: (timeline, view) =>
      recorded(view, timelineRecorded(view.state, timeline), {
        rule: 'record-timeline',
        summary: `record timeline ${timeline}`,
        message: `term ${view.state.term} is on timeline ${timeline}`,
      }),
  }),
  rule<Found>({
    id: 'record-loss',
    section: 'contract',
    about: 'A server that was primary has counted what the failover lost, and kept it aside.',
    when: uncounted,
    because: ({ server, divergence }) => `${server.name} has counted: ${inWords(divergence)}`,
    steps: ({ server, divergence }, view) =>
      recorded(view, lossMeasured(view.state, server.name, divergence, view.situation.now), {
        rule: 'record-loss',
        summary: `enter the loss on ${server.name} into the ledger`,
        message: `lost with term ${divergence.term}: ${inWords(divergence)}; kept on ${server.name} in ${divergence.keptIn}`,
      }),
  }),
];

const inWords = ({ transactions, bytes, fromLsn, toLsn }: Divergence): string =>
  `${transactions} transactions, ${formatSize(bytes)} of WAL (${fromLsn} to ${toLsn})`;
