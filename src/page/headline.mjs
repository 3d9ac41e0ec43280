/**
 * What a cluster is, and what happens to it now: its name and phase, the decision of this moment,
 * and the conditions with their reasons.
 * @typedef {import('../core/overview').ClusterDetail} ClusterDetail
 * @typedef {import('../core/status').Phase} Phase
 * @typedef {import('../core/status').Condition} Condition
 * @typedef {import('./dom.mjs').Icon} Icon
 */
import { h, icon, time } from './dom.mjs';
import { age, gap, size } from './format.mjs';

/** @type {Readonly<Record<Phase, { readonly tone: string, readonly icon: Icon }>>} */
const PHASES = {
  Ready: { tone: 'good', icon: 'good' },
  Degraded: { tone: 'warn', icon: 'warn' },
  Unavailable: { tone: 'bad', icon: 'bad' },
  Failover: { tone: 'bad', icon: 'change' },
  Switchover: { tone: 'busy', icon: 'change' },
  Creating: { tone: 'busy', icon: 'wait' },
  Paused: { tone: 'warn', icon: 'pause' },
  Deleting: { tone: 'busy', icon: 'none' },
};

/** @param {Phase} phase */
export const badge = (phase) =>
  h('span', { class: `badge ${PHASES[phase].tone}` }, icon(PHASES[phase].icon), phase);

/**
 * @param {ClusterDetail} cluster
 * @param {number} nowMs
 */
export function headline(cluster, nowMs) {
  const { primary, term, timeline, generation, synchronous, lastChange } = cluster;
  return h(
    'header',
    { class: 'headline' },
    h('h1', {}, cluster.cluster, ' ', badge(cluster.phase)),
    h(
      'dl',
      { class: 'facts' },
      fact('primary', primary ?? 'none'),
      fact('term', term),
      fact('timeline', timeline ?? 'unknown'),
      fact('generation', generation),
      synchronous !== null && fact('commits wait for', synchronous.wanted ?? 'nobody'),
      lastChange !== null && fact('last change', changeText(lastChange, nowMs)),
    ),
  );
}

/**
 * @param {string} name
 * @param {import('./dom.mjs').Child} value
 */
const fact = (name, value) => h('div', {}, h('dt', {}, name), h('dd', {}, value));

/**
 * @param {import('../core/state').LastChange} change
 * @param {number} nowMs
 */
function changeText({ kind, from, to, writeGapMs, lostBytes, at }, nowMs) {
  const servers = from === null || from === to ? to : `${from} → ${to}`;
  const words = [`${kind} ${servers}`];
  if (writeGapMs !== null) words.push(`${gap(writeGapMs)} without writes`);
  if (kind === 'failover') words.push(lostBytes === 0 ? 'nothing lost' : `${size(lostBytes)} lost`);
  return h('span', {}, `${words.join(', ')}, `, time(at, age(at, nowMs)));
}

/**
 * The decision of this moment: what is done, or what is waited for, and what else was found.
 * @param {ClusterDetail} cluster
 */
export function decision({ decision: { rule, because }, steps, findings, change, phase }) {
  const isQuiet = rule === 'steady';
  const [title, tone] = isQuiet
    ? ['Nothing to do', 'good']
    : steps.length > 0 || change !== null
      ? ['Now it does', 'busy']
      : ['Now it waits', PHASES[phase].tone];
  return h(
    'section',
    { class: `decision ${tone ?? ''}`, 'aria-label': 'The decision of this moment' },
    h(
      'p',
      { class: 'because' },
      icon(isQuiet ? 'good' : steps.length > 0 || change !== null ? 'change' : 'wait'),
      h('strong', {}, `${title}:`),
      h('span', {}, because),
      h('code', { title: 'the rule that decided' }, rule),
    ),
    change !== null && phases(change),
    steps.length > 0 && h('ol', { class: 'steps' }, ...steps.map((each) => h('li', {}, each))),
    findings.length > 0 &&
      h(
        'ul',
        { class: 'findings' },
        ...findings.map((each) =>
          h('li', {}, h('span', {}, each.because), h('code', {}, each.rule)),
        ),
      ),
  );
}

/** In the order in which they come; a switchover does not elect. */
const PHASE_ORDER = /** @type {const} */ (['electing', 'checkpointing', 'stopping', 'promoting']);

/**
 * How far a change of role is.
 * @param {import('../core/state').RoleChange} change
 */
function phases({ kind, from, to, phase }) {
  const own = PHASE_ORDER.filter((each) =>
    kind === 'failover' ? each === 'electing' || each === 'promoting' : each !== 'electing',
  );
  return h(
    'p',
    { class: 'phases' },
    h('strong', {}, `${kind} ${from} → ${to ?? '?'}`),
    ...own.map((each) =>
      h('span', each === phase ? { class: 'current', 'aria-current': 'step' } : {}, each),
    ),
  );
}

/**
 * @param {ClusterDetail} cluster
 * @param {number} nowMs
 */
export function conditions({ conditions: all }, nowMs) {
  const troubles = all.filter(({ status }) => status === 'False');
  const fine = all.filter(({ status }) => status === 'True');
  return h(
    'section',
    { class: 'panel', id: 'conditions', 'aria-labelledby': 'conditions-title' },
    h(
      'h2',
      { id: 'conditions-title' },
      'Conditions',
      h('small', {}, troubles.length === 0 ? 'all are met' : `${troubles.length} not met`),
    ),
    h('ul', { class: 'conditions' }, ...troubles.map((each) => trouble(each, nowMs))),
    h(
      'ul',
      { class: 'conditions fine' },
      ...fine.map(({ type, message }) =>
        h(
          'li',
          { 'data-key': type },
          icon('good'),
          h('div', {}, h('strong', {}, words(type)), h('p', {}, message)),
        ),
      ),
    ),
  );
}

/**
 * @param {Condition} condition
 * @param {number} nowMs
 */
function trouble({ type, reason, message, since }, nowMs) {
  return h(
    'li',
    { class: 'trouble', 'data-key': type },
    icon('bad'),
    h(
      'div',
      {},
      h('strong', {}, `not ${words(type)}`),
      h('code', {}, reason),
      since !== undefined &&
        h('small', {}, 'since ', time(since, age(since, nowMs).replace(' ago', ''))),
      h('p', {}, message),
    ),
  );
}

/**
 * `WalArchived` → `WAL archived`.
 * @param {string} type
 */
const words = (type) =>
  type.replaceAll(/(?<!^)([A-Z])/g, (letter) => ` ${letter.toLowerCase()}`).replace(/^Wal/, 'WAL');
