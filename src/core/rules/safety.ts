/** What must be known before anything is done. */
import { type ServerView } from '../situation';
import { rule, type Rule } from './rule';

export const safetyRules: readonly Rule[] = [
  rule<true>({
    id: 'swarm-unseen',
    section: 'safety',
    about: 'Swarm has not answered lately: its objects are unknown, and none is made or changed.',
    when: ({ swarm }) => (swarm === null ? true : null),
    because: () => 'Swarm has not answered; see docker node ls on a manager',
    condition: { type: 'ObjectsReady', reason: 'SwarmUnknown' },
  }),
  rule<string>({
    id: 'primary-not-among-servers',
    section: 'safety',
    about:
      'The spec does not list the server that is primary any more: nothing is done until it does, and the primary goes on.',
    when: ({ primary, state }) => (primary === null ? state.primary : null),
    because: (name, { spec }) =>
      `${name} is the primary, but not among the servers of the spec: list it again, declare ${spec.primary} as primary, and remove ${name} when that is done`,
    condition: { type: 'SpecValid', reason: 'PrimaryNotAmongServers' },
    blocks: true,
  }),
  rule<ServerView>({
    id: 'second-primary',
    section: 'safety',
    about: 'A server accepts writes that is not the primary of this term; it is told to stop.',
    when: ({ servers, state }) =>
      servers.find(
        ({ name, asPrimary, report }) =>
          asPrimary !== null && name !== state.primary && report?.obeys?.term === state.term,
      ) ?? null,
    because: ({ name }, { state }) =>
      `${name} accepts writes, but ${state.primary ?? 'nobody'} is the primary of term ${state.term}; it is told to stop`,
    condition: { type: 'Ready', reason: 'SecondPrimary' },
  }),
];
