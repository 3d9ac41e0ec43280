/**
 * What the operator says, as it says it. The browser connects again by itself; what it does not
 * notice is a connection that is silent, and what it gives up is one that was refused.
 * @typedef {import('../core/overview').Overview} Overview
 * @typedef {import('../core/overview').OverviewChange} OverviewChange
 *
 * @typedef {object} Listener
 * @property {(overview: Overview) => void} changed
 * @property {(trouble: string | null, lastAtMs: number | null) => void} connected
 */

/** The operator speaks several times a second; one that does not lead waits 4 s for the one that does. */
const SILENCE_MS = 7_000;
const AGAIN_MS = 1_000;

/**
 * Applies what has changed to what was known before. Pure.
 * @param {Overview | null} before
 * @param {OverviewChange} change
 * @returns {Overview}
 */
export function applyChange(before, { at, clusters, cluster, parts }) {
  const known = cluster === undefined ? (before?.cluster ?? null) : cluster;
  return {
    at,
    clusters: clusters ?? before?.clusters ?? [],
    cluster: known === null || parts === undefined ? known : { ...known, ...parts },
  };
}

/**
 * Listens until the function that it returns is called.
 * @param {string} cluster empty: the only one
 * @param {Listener} listener
 */
export function listen(cluster, { changed, connected }) {
  /** @type {Overview | null} */
  let known = null;
  /** @type {number | null} */
  let lastAtMs = null;
  /** @type {EventSource} */
  let source;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  /** @param {number} ms */
  const againIn = (ms) => {
    clearTimeout(timer);
    timer = setTimeout(() => {
      source.close();
      open();
    }, ms);
  };
  const lost = () => {
    connected('No connection to the operator', lastAtMs);
    if (source.readyState !== EventSource.CLOSED) return;
    void leaveIfLoggedOut();
    againIn(AGAIN_MS);
  };
  const open = () => {
    source = new EventSource(`/events?cluster=${encodeURIComponent(cluster)}`);
    // The first message of a connection is everything.
    known = null;
    againIn(SILENCE_MS + AGAIN_MS);
    source.onerror = lost;
    source.onmessage = ({ data }) => {
      lastAtMs = Date.now();
      silenceIsNoticed();
      known = applyChange(known, JSON.parse(data));
      connected(null, lastAtMs);
      changed(known);
    };
    source.addEventListener('trouble', ({ data }) => {
      silenceIsNoticed();
      connected(JSON.parse(data).message, lastAtMs);
    });
  };
  const silenceIsNoticed = () => {
    clearTimeout(timer);
    timer = setTimeout(() => {
      source.close();
      lost();
    }, SILENCE_MS);
  };
  open();
  return () => {
    clearTimeout(timer);
    source.close();
  };
}

/** A session that is over ends at the page that says how to begin another one. */
async function leaveIfLoggedOut() {
  const answer = await fetch('/', { method: 'HEAD' }).catch(() => null);
  if (answer?.status === 401) location.reload();
}
