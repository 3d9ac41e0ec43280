/**
 * What has happened, on an axis of time and as sentences, the newest first.
 * @typedef {import('../core/overview').ClusterDetail} ClusterDetail
 * @typedef {import('../core/state').ClusterEvent} ClusterEvent
 * @typedef {import('./dom.mjs').Icon} Icon
 */
import { h, icon, time } from './dom.mjs';
import { clock, count, day, ticks } from './format.mjs';

const SHOWN_MAX = 60;

/** What kind of event a rule makes; the first that matches. */
const KINDS = /** @type {const} */ ([
  [/^(failover|record-loss)|-(refused|undo|give-up|failed)$/, 'bad', 'warn'],
  [/^(switchover|promotion|restore|override)/, 'busy', 'change'],
  [/^(declare|initialise|adopt|delete)/, 'accent', 'begin'],
]);

/**
 * @param {ClusterEvent} event
 * @returns {{ readonly tone: string, readonly shape: Icon }}
 */
export function kindOf({ rule }) {
  const [, tone, shape] = KINDS.find(([words]) => words.test(rule)) ?? [null, 'quiet', 'begin'];
  return { tone, shape };
}

/**
 * @param {ClusterDetail} cluster
 * @param {number} nowMs
 */
export function timeline({ events, losses }, nowMs) {
  const shown = events.slice(-SHOWN_MAX);
  return h(
    'section',
    { class: 'panel', 'aria-labelledby': 'events-title' },
    h('h2', { id: 'events-title' }, 'Timeline', h('small', {}, count(events.length, 'event'))),
    losses.length > 0 &&
      h(
        'p',
        { class: 'note no' },
        icon('warn'),
        `${count(losses.length, 'failover')} in the loss ledger`,
      ),
    events.length === 0
      ? h('p', { class: 'empty' }, 'Nothing has happened yet.')
      : axis(shown, nowMs),
    h(
      'ol',
      { class: 'events scroll', tabindex: '0', 'aria-label': 'Events, the newest first' },
      ...withDays(shown.toReversed()),
    ),
  );
}

/** @param {readonly ClusterEvent[]} events newest first */
function withDays(events) {
  let before = '';
  return events.flatMap((event, index) => {
    const today = day(event.at);
    const heading = today === before ? [] : [h('li', { class: 'day' }, today)];
    before = today;
    return [...heading, entry(event, events.length - index)];
  });
}

/**
 * @param {ClusterEvent} event
 * @param {number} number
 */
function entry(event, number) {
  const { tone, shape } = kindOf(event);
  return h(
    'li',
    { class: tone, 'data-key': `${event.at} ${event.rule} ${number}` },
    icon(shape),
    time(event.at, clock(event.at)),
    h('p', {}, event.message, ' ', h('code', {}, event.rule)),
  );
}

/**
 * @param {readonly ClusterEvent[]} events
 * @param {number} nowMs
 */
function axis(events, nowMs) {
  const firstMs = Math.min(...events.map(({ at }) => Date.parse(at)), nowMs - 60_000);
  const startMs = firstMs - (nowMs - firstMs) * 0.02;
  const at = (/** @type {number} */ ms) =>
    `${(Math.min(1, (ms - startMs) / (nowMs - startMs)) * 100).toFixed(2)}%`;
  return h(
    'div',
    { class: 'event-axis', 'aria-hidden': 'true' },
    h(
      'div',
      { class: 'track' },
      ...events.map((event) =>
        h('span', {
          class: `mark ${kindOf(event).tone}`,
          title: `${clock(event.at)} ${event.message}`,
          '--at': at(Date.parse(event.at)),
        }),
      ),
    ),
    h(
      'div',
      { class: 'axis' },
      ...ticks(startMs, nowMs, 4).map(({ atMs, label }) => h('span', { '--at': at(atMs) }, label)),
    ),
  );
}
