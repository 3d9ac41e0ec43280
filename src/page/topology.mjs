/**
 * The servers on their nodes, the primary first, and how each standby follows it.
 * @typedef {import('../core/overview').ClusterDetail} ClusterDetail
 * @typedef {import('../core/status').ServerStatus} ServerStatus
 * @typedef {import('../core/status').Lease} Lease
 * @typedef {import('../core/budget').VolumeRoom} VolumeRoom
 * @typedef {import('./dom.mjs').Child} Child
 */
import { h, icon, time } from './dom.mjs';
import { age, size, span } from './format.mjs';

/**
 * @param {ClusterDetail} cluster
 * @param {number} nowMs
 */
export function topology(cluster, nowMs) {
  const { servers, primary, lease } = cluster;
  const first = servers.find(({ name }) => name === primary);
  const others = servers.filter((each) => each !== first);
  return h(
    'section',
    { class: 'topology', 'aria-label': 'Servers and replication' },
    h(
      'ul',
      { class: 'servers', '--rows': Math.max(1, others.length) },
      h(
        'li',
        { class: 'place first', 'data-key': first?.name ?? '' },
        first === undefined ? nobody() : server(first, { isPrimary: true, lease, nowMs }),
      ),
      ...others.map((each, row) =>
        h(
          'li',
          { class: 'place', 'data-key': each.name, '--row': row + 1 },
          link(each, cluster),
          server(each, { isPrimary: false, lease: null, nowMs }),
        ),
      ),
    ),
  );
}

const nobody = () =>
  h('div', { class: 'node vacant' }, icon('none'), h('p', {}, 'No server is primary.'));

/** @param {Pick<ServerStatus, 'state' | 'streaming' | 'late'>} server */
export const isFollowing = ({ state, streaming, late }) =>
  streaming || (late && state !== 'behind the archive' && state !== 'unknown');

/**
 * The arrow from the primary, with how far behind it ends.
 * @param {ServerStatus} server
 * @param {ClusterDetail} cluster
 */
function link(server, { synchronousStandbys }) {
  const streams = isFollowing(server);
  const words = streams
    ? server.lagBytes === null
      ? 'lag unknown'
      : `${size(server.lagBytes)} behind${server.late ? ' on purpose' : ''}`
    : 'not connected';
  const isWaitedFor = synchronousStandbys.includes(server.name);
  return h(
    'p',
    { class: `link ${streams ? 'flows' : 'broken'}` },
    h('span', { class: 'lag' }, !streams && icon('bad'), words),
    h('span', { class: 'arrow', 'aria-hidden': 'true' }),
    h('span', { class: 'kind' }, isWaitedFor ? 'synchronous' : streams && 'asynchronous'),
  );
}

/**
 * @param {ServerStatus} server
 * @param {{ readonly isPrimary: boolean, readonly lease: Lease | null, readonly nowMs: number }} context
 */
function server(server, { isPrimary, lease, nowMs }) {
  const { name, node, known, address, receivedLsn, timeline } = server;
  return h(
    'article',
    {
      class: `node ${isPrimary ? 'primary' : ''} ${known ? '' : 'silent'}`,
      'aria-label': `server ${name}`,
    },
    h('p', { class: 'place-name' }, h('span', {}, 'node'), ' ', node ?? 'unknown'),
    title(server, isPrimary),
    h(
      'dl',
      {},
      row('address', h('code', {}, address ?? 'unknown')),
      row(
        'WAL',
        h('code', {}, receivedLsn ?? 'unknown'),
        timeline !== null && ` on timeline ${timeline}`,
      ),
      room('data', server.dataVolume),
      archive(server, nowMs),
      !isPrimary && row('promotable', eligible(server)),
    ),
    isPrimary && lease !== null && leaseBar(lease),
  );
}

/**
 * @param {ServerStatus} server
 * @param {boolean} isPrimary
 */
function title(server, isPrimary) {
  const { name, role, state } = server;
  const isFine = state === 'running' || isFollowing(server);
  const tone = isFine ? 'good' : state === 'unknown' ? 'bad' : 'warn';
  return h(
    'header',
    {},
    icon(isPrimary ? 'primary' : 'standby'),
    h('h3', {}, name),
    h('span', { class: 'role' }, isPrimary ? 'primary' : (role ?? 'no role')),
    h('span', { class: `state ${tone}` }, icon(tone), state),
  );
}

/**
 * @param {string} name
 * @param {...Child} value
 */
const row = (name, ...value) => h('div', {}, h('dt', {}, name), h('dd', {}, ...value));

/** @param {ServerStatus} server */
const eligible = ({ eligible: is, because }) =>
  h('span', { class: is ? 'yes' : 'no' }, is ? 'yes' : `no: ${because}`);

/** @type {Readonly<Record<VolumeRoom['stage'], string>>} */
const STAGES = { ample: 'good', tight: 'warn', short: 'bad', full: 'bad' };

/**
 * @param {string} name
 * @param {VolumeRoom | null} volume
 */
function room(name, volume) {
  if (volume === null) return null;
  const { sizeBytes, freeBytes, fullInMs, stage } = volume;
  const used = sizeBytes === 0 ? 0 : 1 - freeBytes / sizeBytes;
  const soon = stage !== 'ample' && fullInMs !== null ? `, full in ${span(fullInMs)}` : '';
  return row(
    name,
    h('span', {
      class: `meter ${STAGES[stage]}`,
      'aria-hidden': 'true',
      '--part': used.toFixed(3),
    }),
    `${size(freeBytes)} of ${size(sizeBytes)} free${stage === 'ample' ? '' : `, ${stage}`}${soon}`,
  );
}

/**
 * @param {ServerStatus} server
 * @param {number} nowMs
 */
function archive({ archive: seen }, nowMs) {
  if (seen === null) return null;
  const { failedSince, pausedLeftMs, lastArchivedAt, waiting, room: volume } = seen;
  const free = volume === null ? '' : `, ${size(volume.freeBytes)} free`;
  const state =
    failedSince !== null
      ? h(
          'span',
          { class: 'no' },
          icon('bad'),
          'failing since ',
          time(failedSince, age(failedSince, nowMs)),
        )
      : pausedLeftMs !== null
        ? `paused for ${span(pausedLeftMs)}`
        : lastArchivedAt === null
          ? 'nothing archived yet'
          : h('span', {}, 'last WAL ', time(lastArchivedAt, age(lastArchivedAt, nowMs)));
  return row('archive', state, waiting > 0 && `, ${waiting} waiting`, free);
}

/**
 * Runs down between two renewals.
 * @param {Lease} lease
 */
function leaseBar({ ttlMs, leftMs }) {
  const left = leftMs ?? 0;
  const words =
    leftMs === null ? 'none granted' : `${(left / 1000).toFixed(1)} s of ${ttlMs / 1000} s`;
  return h(
    'p',
    { class: `lease ${left < ttlMs / 3 ? 'short' : ''}` },
    h('span', {}, 'lease'),
    h('span', {
      class: 'bar',
      'aria-hidden': 'true',
      '--part': Math.min(1, left / ttlMs).toFixed(3),
    }),
    h('span', { class: 'left' }, words),
  );
}
