/**
 * To which points in time each archive leads, and the backups there are.
 * @typedef {import('../core/overview').ClusterDetail} ClusterDetail
 * @typedef {import('../core/status').BackupStatus} BackupStatus
 * @typedef {import('../core/status').ServerStatus} ServerStatus
 */
import { h, icon, time } from './dom.mjs';
import { age, clock, count, day, size, span, ticks } from './format.mjs';

const BACKUPS_SHOWN = 6;

/**
 * @param {ClusterDetail} cluster
 * @param {number} nowMs
 */
export function recovery(cluster, nowMs) {
  const { backups, servers } = cluster;
  const moments = [
    ...backups.map(({ stoppedAt }) => Date.parse(stoppedAt)),
    ...servers
      .flatMap(({ archive }) => archive?.recoveryWindow?.points?.earliest.at ?? [])
      .map(Date.parse),
  ].filter((each) => !Number.isNaN(each));
  const oldestMs = moments.length === 0 ? null : Math.min(...moments);
  return h(
    'section',
    { class: 'panel', 'aria-labelledby': 'recovery-title' },
    h(
      'h2',
      { id: 'recovery-title' },
      'Recovery',
      h(
        'small',
        {},
        oldestMs === null
          ? 'nothing to restore from yet'
          : `${count(backups.length, 'backup')}, ${span(nowMs - oldestMs)} back`,
      ),
    ),
    underWay(cluster),
    oldestMs !== null && windows(cluster, { fromMs: oldestMs, nowMs }),
    backups.length > 0 && table(backups, nowMs),
    schedules(cluster, nowMs),
  );
}

/** @param {ClusterDetail} cluster */
const underWay = ({ backupUnderWay, rehearsalUnderWay }) =>
  [backupUnderWay, rehearsalUnderWay].map(
    (words) => words !== null && h('p', { class: 'under-way' }, icon('wait'), words),
  );

/**
 * @param {ClusterDetail} cluster
 * @param {{ readonly fromMs: number, readonly nowMs: number }} range
 */
function windows({ servers, backups }, { fromMs, nowMs }) {
  // A little room at both ends, so that no mark is cut.
  const startMs = fromMs - (nowMs - fromMs) * 0.03 - 1000;
  const at = (/** @type {number} */ ms) =>
    `${(Math.min(1, Math.max(0, (ms - startMs) / (nowMs - startMs))) * 100).toFixed(2)}%`;
  return h(
    'div',
    { class: 'windows' },
    ...servers.map((server) =>
      h(
        'div',
        { class: 'window', 'data-key': server.name },
        h('span', { class: 'name' }, server.name),
        h(
          'div',
          { class: 'track' },
          bar(server, at),
          ...backups
            .filter(({ on }) => on.includes(server.name))
            .map((backup) =>
              h('span', {
                class: `mark ${backup.problem === null ? backup.method : 'wrong'}`,
                title: `${backup.method} ${backup.id}`,
                '--at': at(Date.parse(backup.stoppedAt)),
              }),
            ),
        ),
        trouble(server),
      ),
    ),
    h(
      'div',
      { class: 'axis', 'aria-hidden': 'true' },
      ...ticks(startMs, nowMs).map(({ atMs, label }) => h('span', { '--at': at(atMs) }, label)),
    ),
    h(
      'ul',
      { class: 'key' },
      keyOf(h('span', { class: 'span', '--from': '0%', '--to': '100%' }), 'every point in time'),
      keyOf(h('span', { class: 'mark base', '--at': '50%' }), 'base backup'),
      backups.some(({ method }) => method === 'dump') &&
        keyOf(h('span', { class: 'mark dump', '--at': '50%' }), 'dump'),
    ),
  );
}

/**
 * @param {Element} mark
 * @param {string} meaning
 */
const keyOf = (mark, meaning) =>
  h('li', {}, h('span', { class: 'track', 'aria-hidden': 'true' }, mark), meaning);

/**
 * @param {ServerStatus} server
 * @param {(ms: number) => string} at
 */
function bar({ name, archive }, at) {
  const window = archive?.recoveryWindow ?? null;
  const earliest = window?.points?.earliest.at ?? null;
  if (window === null || earliest === null) return null;
  const latest = latestOf(archive) ?? earliest;
  const words = `${name} leads to every point from ${moment(earliest)} to ${moment(latest)}`;
  return h('span', {
    class: `span ${window.isDisturbed ? 'holed' : ''}`,
    role: 'img',
    'aria-label': words,
    title: words,
    '--from': at(Date.parse(earliest)),
    '--to': at(Date.parse(latest)),
  });
}

/**
 * Of the last segment nobody knows how far it leads: it leads to when it was archived at least.
 * @param {ServerStatus['archive']} archive
 */
const latestOf = (archive) =>
  archive?.recoveryWindow?.points?.latest.at ?? archive?.lastArchivedAt ?? null;

/** @param {string} at ISO 8601 */
const moment = (at) => `${day(at)} ${clock(at)}`;

/** @param {ServerStatus} server */
function trouble({ archive }) {
  const because = archive?.recoveryWindow?.because ?? null;
  return because !== null && h('p', { class: 'note' }, because);
}

/**
 * @param {readonly BackupStatus[]} backups oldest first
 * @param {number} nowMs
 */
function table(backups, nowMs) {
  const shown = backups.slice(-BACKUPS_SHOWN).reverse();
  const left = backups.length - shown.length;
  return h(
    'div',
    { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': 'Backups' },
    h(
      'table',
      {},
      h(
        'thead',
        {},
        h(
          'tr',
          {},
          ...['backup', 'size', 'on', 'checked'].map((each) => h('th', { scope: 'col' }, each)),
        ),
      ),
      h(
        'tbody',
        {},
        ...shown.map((backup) => backupRow(backup, nowMs)),
        left > 0 &&
          h('tr', {}, h('td', { colspan: 4, class: 'note' }, `and ${count(left, 'older one')}`)),
      ),
    ),
  );
}

/**
 * @param {BackupStatus} backup
 * @param {number} nowMs
 */
function backupRow({ id, method, parent, stoppedAt, bytes, on, verifiedAt, problem }, nowMs) {
  return h(
    'tr',
    { 'data-key': id },
    h(
      'th',
      { scope: 'row' },
      time(stoppedAt, age(stoppedAt, nowMs)),
      h('small', {}, method === 'base' ? (parent === null ? 'base' : 'incremental') : method),
    ),
    h('td', {}, size(bytes)),
    h('td', {}, on.join(', ')),
    h(
      'td',
      { class: problem === null ? '' : 'no' },
      problem !== null
        ? h('span', {}, icon('bad'), problem)
        : verifiedAt === null
          ? 'not yet'
          : h('span', { class: 'yes' }, icon('good'), time(verifiedAt, age(verifiedAt, nowMs))),
    ),
  );
}

/**
 * @param {ClusterDetail} cluster
 * @param {number} nowMs
 */
function schedules({ schedules: all, lastDrill }, nowMs) {
  const rows = all.map(({ name, schedule, suspended, nextDueAt }) =>
    h(
      'li',
      { 'data-key': name },
      h('strong', {}, name),
      ' ',
      h('code', {}, schedule),
      ' ',
      suspended || nextDueAt === null
        ? 'suspended'
        : h(
            'span',
            {},
            Date.parse(nextDueAt) < nowMs ? 'due ' : 'next ',
            time(nextDueAt, age(nextDueAt, nowMs)),
          ),
    ),
  );
  if (lastDrill !== null) {
    const { at, problem } = lastDrill;
    rows.push(
      h(
        'li',
        { 'data-key': 'the last drill', class: problem === null ? '' : 'no' },
        h('strong', {}, 'restore drill'),
        problem === null ? ' brought the data back ' : ' did not bring the data back ',
        time(at, age(at, nowMs)),
      ),
    );
  }
  return rows.length > 0 && h('ul', { class: 'schedules' }, ...rows);
}
