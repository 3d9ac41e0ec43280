/**
 * Elements, and how a tree becomes another one. Text is only ever text: nothing here takes HTML.
 * @typedef {Node | string | number | null | false | undefined} Child
 * @typedef {Record<string, string | number | boolean | null | undefined>} Attributes
 */

/**
 * `h('p', { class: 'note' }, 'text')`. An attribute that is null or false is left out; one that
 * begins with `--` is a property of CSS.
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Attributes} [attributes]
 * @param {...(Child | readonly Child[])} children
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (isAbsent(value)) continue;
    const text = value === true ? '' : String(value);
    if (name.startsWith('--')) element.style.setProperty(name, text);
    else element.setAttribute(name, text);
  }
  for (const child of children.flat()) {
    if (!isAbsent(child)) element.append(child instanceof Node ? child : String(child));
  }
  return element;
}

/**
 * @template Value
 * @param {Value | null | undefined | false} value
 * @returns {value is null | undefined | false}
 */
const isAbsent = (value) => value === null || value === undefined || value === false;

/** 16 × 16, drawn with lines. */
const ICONS = {
  good: 'M3 8.5l3.2 3.2L13 5',
  warn: 'M8 2.5 14.5 13.5H1.5zM8 6.5v3M8 11.5v.2',
  bad: 'M4 4l8 8M12 4l-8 8',
  primary: 'M8 1.5 14.5 8 8 14.5 1.5 8z',
  standby: 'M8 2.5a5.5 5.5 0 1 0 .01 0z',
  none: 'M3 8h10',
  change: 'M2 5.5h11l-3-3M14 10.5H3l3 3',
  pause: 'M5.5 3v10M10.5 3v10',
  wait: 'M8 2a6 6 0 1 0 .01 0zM8 4.8V8l2.3 1.600',
  begin: 'M8 5.5a2.5 2.5 0 1 0 .01 0z',
  sun: 'M8 5a3 3 0 1 0 .01 0zM8 1v1.5M8 13.5V15M1 8h1.5M13.5 8H15M3 3l1 1M12 12l1 1M13 3l-1 1M4 12l-1 1',
  moon: 'M13 9.5A5.5 5.5 0 1 1 6.5 3 4.5 4.5 0 0 0 13 9.5z',
  auto: 'M8 2a6 6 0 1 0 .01 0zM8 2v12M8 5h4.5M8 8h5.8M8 11h4.5',
};
/** @typedef {keyof typeof ICONS} Icon */

/**
 * Always beside a word that says the same.
 * @param {Icon} name
 * @returns {SVGElement}
 */
export function icon(name) {
  const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
  for (const [attribute, value] of [
    ['viewBox', '0 0 16 16'],
    ['class', `icon icon-${name}`],
    ['aria-hidden', 'true'],
  ]) {
    svg.setAttribute(/** @type {string} */ (attribute), /** @type {string} */ (value));
  }
  const path = document.createElementNS('http://www.w3.org/2000/svg', 'path');
  path.setAttribute('d', ICONS[name]);
  svg.append(path);
  return svg;
}

/**
 * A moment, with the exact time behind it.
 * @param {string} at ISO 8601
 * @param {string} text
 */
export const time = (at, text) =>
  h('time', { datetime: at, title: new Date(at).toLocaleString() }, text);

/**
 * Makes `live` what `fresh` is and keeps every element that stays: focus, selection, scrolling,
 * opened details and running transitions are not lost. What has `data-own` looks after its content
 * itself.
 * @param {Element} live
 * @param {Element} fresh
 */
export function morph(live, fresh) {
  for (const { name } of [...live.attributes]) {
    const isKept = name === 'open' || name === 'style';
    if (!isKept && !fresh.hasAttribute(name)) live.removeAttribute(name);
  }
  for (const { name, value } of fresh.attributes) {
    if (name !== 'style' && live.getAttribute(name) !== value) live.setAttribute(name, value);
  }
  if (live instanceof HTMLElement && fresh instanceof HTMLElement) {
    // An attribute `style` that is set from a script is refused by our policy; its text is not.
    if (live.style.cssText !== fresh.style.cssText) live.style.cssText = fresh.style.cssText;
  }
  if (!fresh.hasAttribute('data-own')) morphChildren(live, fresh);
}

/**
 * @param {Element} live
 * @param {Element} fresh
 */
function morphChildren(live, fresh) {
  const all = [...fresh.childNodes];
  for (const [index, wanted] of all.entries()) {
    const match = matching(live, index, wanted);
    if (match === null) {
      live.insertBefore(wanted, live.childNodes[index] ?? null);
      continue;
    }
    if (live.childNodes[index] !== match) live.insertBefore(match, live.childNodes[index] ?? null);
    if (match instanceof Element && wanted instanceof Element) morph(match, wanted);
    else if (match.nodeValue !== wanted.nodeValue) match.nodeValue = wanted.nodeValue;
  }
  while (live.childNodes.length > all.length) live.lastChild?.remove();
}

/**
 * The one with the same key; without keys, the one in the same place.
 * @param {Element} live
 * @param {number} index
 * @param {Node} wanted
 */
function matching(live, index, wanted) {
  const key = keyOf(wanted);
  const rest = [...live.childNodes].slice(index);
  const found = key === null ? rest[0] : rest.find((each) => keyOf(each) === key);
  const isSame = found?.nodeName === wanted.nodeName && keyOf(found) === key;
  return isSame ? found : null;
}

/** @param {Node} node */
const keyOf = (node) => (node instanceof Element ? node.getAttribute('data-key') : null);
