/**
 * The lag of every standby as it moves, since the page was opened, drawn by uPlot.
 * @typedef {import('../core/overview').ClusterDetail} ClusterDetail
 * @typedef {{ readonly atMs: number, readonly lags: Readonly<Record<string, number | null>> }} Sample
 */
import { h } from './dom.mjs';
import { clock, size } from './format.mjs';

const SHOWN_MS = 5 * 60_000;
/** The axis begins with this much, and grows with what is known. */
const SHOWN_LEAST_MS = 60_000;
const HEIGHT = 210;
/** The least that the axis reaches to: nothing behind is a flat line at the bottom. */
const LEAST_BYTES = 64 * 1024;
/** Never by colour alone. */
const DASHES = [[], [6, 4], [2, 3], [10, 3, 2, 3]];

/** One for each cluster that is looked at; it keeps what it has seen. */
export class LagChart {
  /** @type {Sample[]} */
  #samples = [];
  /** @type {readonly string[]} */
  #names = [];
  /** @type {any} */
  #plot = null;
  #element = h('div', { class: 'chart', 'data-own': true });
  /** @type {number | null} */
  #pointed = null;
  #theme = matchMedia('(prefers-color-scheme: dark)');
  #redraw = () => this.#rebuild();
  #observer = new ResizeObserver(() => this.#fit());

  constructor() {
    this.#observer.observe(this.#element);
    this.#theme.addEventListener('change', this.#redraw);
    document.addEventListener('themechange', this.#redraw);
  }

  /** Nobody looks at it any more. */
  close() {
    this.#observer.disconnect();
    this.#theme.removeEventListener('change', this.#redraw);
    document.removeEventListener('themechange', this.#redraw);
    this.#plot?.destroy();
  }

  /**
   * @param {ClusterDetail | null} cluster null: nothing is known of this moment
   * @param {number} atMs
   */
  add(cluster, atMs) {
    const standbys = cluster?.servers.filter(({ name }) => name !== cluster.primary) ?? null;
    const lags = Object.fromEntries((standbys ?? []).map(({ name, lagBytes }) => [name, lagBytes]));
    this.#samples.push({ atMs, lags });
    while ((this.#samples[0]?.atMs ?? atMs) < atMs - SHOWN_MS) this.#samples.shift();
    const names = standbys?.map(({ name }) => name) ?? this.#names;
    const isOther = names.join() !== this.#names.join();
    this.#names = names;
    if (isOther || this.#plot === null) this.#rebuild();
    else this.#plot.setData(this.#data());
  }

  /** The section, with the values under the pointer or the newest ones. */
  render() {
    const sample = this.#samples[this.#pointed ?? this.#samples.length - 1];
    const since = this.#samples[0];
    return h(
      'section',
      { class: 'panel', 'aria-labelledby': 'lag-title' },
      h(
        'h2',
        { id: 'lag-title' },
        'Replication lag',
        h(
          'small',
          {},
          this.#pointed !== null && sample !== undefined
            ? `at ${clock(new Date(sample.atMs).toISOString())}`
            : since === undefined
              ? ''
              : `since ${clock(new Date(since.atMs).toISOString())}`,
        ),
      ),
      h(
        'ul',
        { class: 'legend' },
        ...this.#names.map((name, index) =>
          h(
            'li',
            { 'data-key': name },
            h('span', { class: `sample series-${index % DASHES.length}`, 'aria-hidden': 'true' }),
            name,
            ' ',
            h('strong', {}, lagText(sample?.lags[name])),
          ),
        ),
      ),
      this.#names.length === 0
        ? h('p', { class: 'empty', 'data-key': 'empty' }, 'There is no standby.')
        : h('div', { class: 'chart', 'data-own': true, 'data-key': 'chart' }),
    );
  }

  /**
   * Takes its place in the page, once the section is there.
   * @param {Element | null} place
   */
  mount(place) {
    if (place === null || this.#element.parentElement === place) return;
    place.replaceChildren(this.#element);
    this.#rebuild();
  }

  #data() {
    return [
      this.#samples.map(({ atMs }) => atMs / 1000),
      ...this.#names.map((name) => this.#samples.map(({ lags }) => lags[name] ?? null)),
    ];
  }

  #fit() {
    const width = this.#element.clientWidth;
    if (this.#plot !== null && width > 0 && this.#plot.width !== width) {
      this.#plot.setSize({ width, height: HEIGHT });
    }
  }

  #rebuild() {
    const uPlot = /** @type {any} */ (globalThis).uPlot;
    this.#plot?.destroy();
    this.#plot = null;
    if (uPlot === undefined || !this.#element.isConnected || this.#names.length === 0) return;
    this.#plot = new uPlot(this.#options(), this.#data(), this.#element);
    this.#fit();
  }

  #options() {
    const { fontFamily } = getComputedStyle(this.#element);
    const colour = (/** @type {string} */ name) => probe(this.#element, name);
    const axis = {
      stroke: colour('--quiet'),
      grid: { stroke: colour('--line'), width: 1 },
      ticks: { show: false },
      font: `12px ${fontFamily}`,
    };
    return {
      width: Math.max(200, this.#element.clientWidth),
      height: HEIGHT,
      padding: [8, 24, 0, 0],
      legend: { show: false },
      cursor: { y: false, points: { size: 7 }, drag: { x: false } },
      scales: SCALES,
      axes: [
        { ...axis, size: 26, space: 90, values: clockLabels },
        { ...axis, size: 62, splits: binarySplits, values: sizeLabels },
      ],
      series: [
        {},
        ...this.#names.map((name, index) => ({
          label: name,
          stroke: colour(`--series-${index % DASHES.length}`),
          width: 1.75,
          dash: DASHES[index % DASHES.length],
          points: { show: false },
          spanGaps: false,
        })),
      ],
      hooks: {
        setCursor: [
          (/** @type {{ cursor: { idx: number | null } }} */ { cursor }) => {
            this.#pointed = cursor.idx ?? null;
          },
        ],
      },
    };
  }
}

/** @typedef {(plot: unknown, least: number, most: number | null) => [number, number]} Range */

const SCALES = {
  x: {
    /** @type {Range} */
    range: (_, first, last) => [Math.min(first, (last ?? 0) - SHOWN_LEAST_MS / 1000), last ?? 0],
  },
  y: {
    /** @type {Range} */
    range: (_, __, most) => [0, Math.max((most ?? 0) * 1.1, LEAST_BYTES)],
  },
};

/**
 * @param {unknown} _
 * @param {readonly number[]} seconds
 */
const clockLabels = (_, seconds) =>
  seconds.map((each) => clock(new Date(each * 1000).toISOString()));

/**
 * @param {unknown} _
 * @param {readonly number[]} bytes
 */
const sizeLabels = (_, bytes) => bytes.map(size);

/** @param {number | null | undefined} bytes */
const lagText = (bytes) => (bytes === null || bytes === undefined ? 'unknown' : size(bytes));

/**
 * A canvas knows no variables, and no `light-dark()`: the colour as it is now.
 * @param {HTMLElement} element
 * @param {string} name
 */
function probe(element, name) {
  const before = element.style.color;
  element.style.color = `var(${name})`;
  const { color } = getComputedStyle(element);
  element.style.color = before;
  return color;
}

/**
 * Lines at powers of two, four of them at most.
 * @param {unknown} _
 * @param {number} __
 * @param {number} from
 * @param {number} to
 */
function binarySplits(_, __, from, to) {
  const step = 2 ** Math.ceil(Math.log2((to - from) / 4));
  return Array.from({ length: Math.floor(to / step) + 1 }, (_each, index) => index * step);
}
