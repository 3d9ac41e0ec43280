/**
 * All clusters: as a switch in the bar, and as the page where none is chosen.
 * @typedef {import('../core/overview').ClusterSummary} ClusterSummary
 */
import { h, icon } from './dom.mjs';
import { size } from './format.mjs';
import { badge } from './headline.mjs';
import { isFollowing } from './topology.mjs';

/** @param {string} name */
export const linkTo = (name) => `#/${encodeURIComponent(name)}`;

/** More are chosen from the list of all. */
const TABS_MAX = 6;

/**
 * @param {readonly ClusterSummary[]} clusters
 * @param {string | null} shown
 */
export function clusterTabs(clusters, shown) {
  if (clusters.length < 2) return h('ul');
  const tabs =
    clusters.length > TABS_MAX ? clusters.filter(({ name }) => name === shown) : clusters;
  return h(
    'ul',
    {},
    h('li', {}, h('a', { href: '#/', 'aria-current': shown === null && 'page' }, 'All clusters')),
    ...tabs.map(({ name, troubles }) =>
      h(
        'li',
        { 'data-key': name },
        h(
          'a',
          { href: linkTo(name), 'aria-current': name === shown && 'page' },
          name,
          troubles.length > 0 &&
            h('span', { class: 'count', title: troubles.join('; ') }, troubles.length),
        ),
      ),
    ),
  );
}

/** @param {readonly ClusterSummary[]} clusters */
export function clusterList(clusters) {
  return h(
    'section',
    { 'aria-labelledby': 'all-title' },
    h('h1', { id: 'all-title' }, 'All clusters'),
    h('ul', { class: 'cards' }, ...clusters.map(card)),
  );
}

/** @param {ClusterSummary} cluster */
function card({ name, phase, servers, primary, troubles }) {
  return h(
    'li',
    { 'data-key': name },
    h(
      'a',
      { class: 'card', href: linkTo(name) },
      h('h2', {}, name, ' ', badge(phase)),
      h(
        'ul',
        { class: 'rows' },
        ...servers.map((server) =>
          h(
            'li',
            { class: server.name === primary ? 'primary' : '' },
            icon(server.name === primary ? 'primary' : 'standby'),
            h('strong', {}, server.name),
            h('span', {}, server.node ?? 'no node'),
            h(
              'span',
              { class: server.state === 'running' || isFollowing(server) ? '' : 'no' },
              server.lagBytes === null ? server.state : `${server.state}, ${size(server.lagBytes)}`,
            ),
          ),
        ),
      ),
      troubles.map((each) => h('p', { class: 'no' }, icon('warn'), h('span', {}, each))),
    ),
  );
}

export const noCluster = () =>
  h(
    'section',
    { class: 'blank' },
    h('h1', {}, 'No cluster yet'),
    h(
      'p',
      {},
      'One file names the servers and which of them is the primary. On a manager of the Swarm:',
    ),
    h('pre', {}, h('code', {}, 'pgswarm apply -f examples/pair.yaml')),
    h('p', {}, 'It appears here as soon as it is declared.'),
  );

/** @param {string} name */
export const unknownCluster = (name) =>
  h(
    'section',
    { class: 'blank' },
    h('h1', {}, `Nothing is known of ${name}`),
    h('p', {}, 'There is no cluster of that name, or the operator has not looked at it yet.'),
    h('p', {}, h('a', { href: '#/' }, 'All clusters')),
  );
