/** The page: what the operator says, drawn; which cluster is chosen is in the address. */
import { clusterList, clusterTabs, noCluster, unknownCluster } from './clusters.mjs';
import { h, icon, morph } from './dom.mjs';
import { timeline } from './events.mjs';
import { clock } from './format.mjs';
import { conditions, decision, headline } from './headline.mjs';
import { LagChart } from './lag.mjs';
import { recovery } from './recovery.mjs';
import { listen } from './stream.mjs';
import { topology } from './topology.mjs';

/** @typedef {import('./stream.mjs').Overview} Overview */

/** @param {string} id */
const byId = (id) => /** @type {HTMLElement} */ (document.getElementById(id));

/** Name of the cluster that is looked at; empty: the only one, or the list of all. */
let chosen = '';

// ── the cluster ──────────────────────────────────────────────────────────────────────────────

/** @type {LagChart | null} */
let chart = null;
/** @type {string | null} */
let charted = null;

/** @param {Overview} overview */
function show(overview) {
  const { cluster, clusters } = overview;
  const name = cluster?.cluster ?? null;
  if (charted !== name) {
    chart?.close();
    charted = name;
    chart = name === null ? null : new LagChart();
  }
  chart?.add(cluster, Date.parse(overview.at));
  update(byId('clusters'), clusterTabs(clusters, name));
  update(byId('content'), content(overview));
  chart?.mount(byId('content').querySelector('.panel .chart[data-key]'));
  document.title = titleOf(cluster);
}

/** @param {Overview['cluster']} cluster */
function titleOf(cluster) {
  if (cluster === null) return 'pgswarm';
  const trouble = cluster.phase === 'Ready' ? '' : ` · ${cluster.phase}`;
  return `${cluster.cluster}${trouble} · pgswarm`;
}

/** @param {Overview} overview */
function content({ at, clusters, cluster }) {
  const nowMs = Date.parse(at);
  if (cluster === null) {
    if (clusters.length === 0) return noCluster();
    const name = chosen || (clusters.length === 1 ? (clusters[0]?.name ?? '') : '');
    return name === '' ? clusterList(clusters) : unknownCluster(name);
  }
  return h(
    'div',
    { class: 'cluster', 'data-key': cluster.cluster },
    headline(cluster, nowMs),
    decision(cluster),
    topology(cluster, nowMs),
    h(
      'div',
      { class: 'columns' },
      h('div', {}, chart?.render(), recovery(cluster, nowMs)),
      h('div', {}, conditions(cluster, nowMs), timeline(cluster, nowMs)),
    ),
  );
}

/**
 * @param {HTMLElement} place
 * @param {Element} fresh
 */
function update(place, fresh) {
  const holder = place.cloneNode(false);
  if (!(holder instanceof HTMLElement)) return;
  holder.append(fresh);
  morph(place, holder);
}

// ── the connection ───────────────────────────────────────────────────────────────────────────

/**
 * @param {string | null} trouble
 * @param {number | null} lastAtMs
 */
function showConnection(trouble, lastAtMs) {
  const words = trouble === null ? 'live' : 'not live';
  const connection = byId('connection');
  if (connection.textContent !== words) {
    connection.replaceChildren(h('span', { class: 'dot', 'aria-hidden': 'true' }), words);
  }
  connection.classList.toggle('live', trouble === null);
  document.body.classList.toggle('is-stale', trouble !== null);
  const stale = byId('stale');
  stale.hidden = trouble === null;
  if (trouble === null) return;
  const since =
    lastAtMs === null
      ? 'Nothing has been heard yet.'
      : `What you see is as it was at ${clock(new Date(lastAtMs).toISOString())}.`;
  const text = `${trouble.replace(/\.?$/, '.')} ${since} It is tried again all the time.`;
  if (stale.textContent !== text) stale.replaceChildren(icon('warn'), h('span', {}, text));
}

let stop = () => {};
function begin() {
  // The link of `pgswarm page`, opened by a browser that is logged in already.
  if (location.hash.startsWith('#token=')) history.replaceState(null, '', '/');
  // Put there by the page that asks for the token.
  if (location.search !== '') history.replaceState(null, '', `/${location.hash}`);
  stop();
  chosen = decodeURIComponent(/^#\/(.*)$/.exec(location.hash)?.[1] ?? '');
  stop = listen(chosen, { changed: show, connected: showConnection });
}

// ── the theme ────────────────────────────────────────────────────────────────────────────────

const THEMES = /** @type {const} */ ([
  [undefined, 'auto', 'theme: as the system'],
  ['light', 'sun', 'theme: light'],
  ['dark', 'moon', 'theme: dark'],
]);

function showTheme() {
  const root = document.documentElement;
  const current = THEMES.findIndex(([theme]) => theme === root.dataset['theme']);
  const [, name, words] = THEMES[Math.max(0, current)] ?? THEMES[0];
  const button = byId('theme');
  button.replaceChildren(icon(name));
  button.setAttribute('aria-label', words);
  button.title = words;
  button.onclick = () => {
    const [next] = THEMES[(current + 1) % THEMES.length] ?? THEMES[0];
    if (next === undefined) {
      delete root.dataset['theme'];
      localStorage.removeItem('theme');
    } else {
      root.dataset['theme'] = next;
      localStorage.setItem('theme', next);
    }
    showTheme();
    document.dispatchEvent(new Event('themechange'));
  };
}

showTheme();
addEventListener('hashchange', () => {
  // `#content` is a place in the page.
  if (/^(#\/.*)?$/.test(location.hash)) begin();
});
begin();
