/** What would become of a cluster, for people. */
import { type View } from '../core/situation';
import { describeManagers } from '../core/what-if/managers';
import { type CandidateJudged, type Outcome, type WhatIf } from '../core/what-if/what-if';
import { secondsText } from './expectations-text';
import { fold, type Paint, type Tone } from './output';

export interface Neighbour {
  readonly cluster: string;
  readonly server: string;
  readonly isPrimary: boolean;
}

interface Subject {
  readonly view: View;
  readonly outcome: WhatIf;
  readonly neighbours: readonly Neighbour[];
}

const TITLES: Readonly<Record<Outcome, readonly [Tone, (outcome: WhatIf) => string]>> = {
  'goes-on': ['good', ({ primary }) => `${primary ?? ''} goes on`],
  'commits-wait': ['bad', ({ primary }) => `${primary ?? ''} goes on, and its commits wait`],
  pauses: ['warn', ({ primary }) => `${primary ?? ''} pauses`],
  stops: ['bad', ({ primary }) => `${primary ?? ''} stops`],
  promoted: ['good', ({ successor }) => `${successor ?? ''} takes over`],
  waits: ['bad', () => 'nobody takes over'],
};

export function whatIfText({ view, outcome, neighbours }: Subject, paint: Paint): string {
  const [tone, title] = TITLES[outcome.outcome];
  return [
    fold(`If ${lostText(view, outcome)} were lost now:`, 0),
    '',
    paint(tone, title(outcome)),
    fold(outcome.because, 2),
    ...storyLines(outcome, paint),
    ...candidateLines(outcome, paint),
    '',
    ...facts(view, outcome, neighbours).map((line) => `  ${fold(line, 4).trimStart()}`),
  ].join('\n');
}

function lostText({ spec, swarm, state }: View, { lost }: WhatIf): string {
  const nodes = (swarm?.nodes ?? []).filter(({ id }) => lost.nodes.includes(id));
  const servers = lost.servers.map((name) => {
    const role = name === state.primary ? ', the primary' : '';
    return `server ${name}${role}`;
  });
  const of = servers.length === 0 ? `no server of ${spec.cluster}` : servers.join(' and ');
  if (nodes.length === 0) return of;
  return `${nodes.map(({ hostname }) => `node ${hostname}`).join(' and ')} (${of})`;
}

function storyLines({ story }: WhatIf, paint: Paint): readonly string[] {
  return story.flatMap(({ rule, because, does }) => [
    `  ${fold(`· ${because} ${paint('dim', `[${rule}]`)}`, 4).trimStart()}`,
    ...does.map((step) => fold(`→ ${step}`, 6)),
  ]);
}

function candidateLines({ candidates }: WhatIf, paint: Paint): readonly string[] {
  if (candidates.length === 0) return [];
  const row = ({ server, isFit, because }: CandidateJudged): string => {
    const answer = isFit ? paint('good', 'yes') : paint('warn', 'no');
    return `  ${server}  ${answer}  ${fold(because, server.length + 9).trimStart()}`;
  };
  return ['', paint('strong', 'May it take over?'), ...candidates.map(row)];
}

function facts(view: View, outcome: WhatIf, neighbours: readonly Neighbour[]): readonly string[] {
  const { outage, loss, lost, managers, isSwarmLeaderLost, isLeadingOperatorLost } = outcome;
  const gone = lost.nodes.length > 0;
  const left = view.servers
    .map(({ name }) => name)
    .filter((name) => !lost.servers.includes(name) && name !== serving(outcome));
  return [
    ...(outage === null
      ? []
      : [
          `without writes: ${secondsText(outage.bestMs)} at best, ${secondsText(outage.typicalMs)} typically, ${secondsText(outage.worstMs)} at worst`,
        ]),
    ...(loss === null ? [] : [`lost: ${loss.because}`]),
    `standbys left: ${left.join(', ') || 'none'}`,
    ...(gone ? [`managers: ${describeManagers(managers)}`] : []),
    ...(isSwarmLeaderLost
      ? ['there, too: the leader of Swarm; nothing can be written until Raft has elected']
      : []),
    ...(isLeadingOperatorLost
      ? ['there, too: the leading operator; another one takes over within 7 s']
      : []),
    ...neighbours.map(({ cluster, server, isPrimary }) => {
      const role = isPrimary ? ', its primary' : '';
      return `there, too: ${server} of ${cluster}${role}; see pgswarm simulate ${cluster}`;
    }),
  ];
}

const serving = ({ successor, outcome, primary }: WhatIf): string | null =>
  successor ?? (outcome === 'waits' ? null : primary);
