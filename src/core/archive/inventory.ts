/**
 * Which segments there are, as ranges: 200,000 of them without a hole are one range. It is what a
 * report carries, so it is plain data. Numbers of segments mean the same for everybody: all servers
 * of a cluster have the segment size that initdb chose.
 */
import { nameOfSegment, type Segment } from './wal-files';

/** All segments of one timeline from one number up to another one, both included. */
export interface SegmentRange {
  readonly timeline: number;
  readonly from: number;
  readonly to: number;
}

/** Sorted by timeline and number; no two ranges overlap or touch, so equal sets look alike. */
export type Inventory = readonly SegmentRange[];

/** The ranges that hold these segments, which may come in any order and more than once. */
export function inventoryOf(segments: Iterable<Segment>): Inventory {
  const numbers = new Map<number, number[]>();
  for (const { timeline, number } of segments) {
    const known = numbers.get(timeline);
    if (known === undefined) numbers.set(timeline, [number]);
    else known.push(number);
  }
  return [...numbers.keys()]
    .toSorted((a, b) => a - b)
    .flatMap((timeline) => rangesOf(timeline, numbers.get(timeline) ?? []));
}

/** What is in at least one of them; ranges in any order, overlapping or not, are put in order. */
export function merge(...inventories: readonly (readonly SegmentRange[])[]): Inventory {
  const merged: SegmentRange[] = [];
  for (const range of sorted(inventories.flat())) {
    const last = merged.at(-1);
    if (last?.timeline === range.timeline && range.from <= last.to + 1) {
      merged[merged.length - 1] = { ...last, to: Math.max(last.to, range.to) };
    } else merged.push(range);
  }
  return merged;
}

/** What is in the first one and not in the second one. */
export function subtract(from: Inventory, taken: Inventory): Inventory {
  const left: SegmentRange[] = [];
  forEachOverlap(from, taken, (range, overlaps) => {
    let next = range.from;
    for (const overlap of overlaps) {
      if (overlap.from > next) left.push({ ...range, from: next, to: overlap.from - 1 });
      next = overlap.to + 1;
    }
    if (next <= range.to) left.push({ ...range, from: next });
  });
  return left;
}

/** What is in both. */
export function intersect(one: Inventory, other: Inventory): Inventory {
  const common: SegmentRange[] = [];
  forEachOverlap(one, other, (_, overlaps) => common.push(...overlaps));
  return common;
}

/** The segments of a certain number or above, on every timeline. */
export const fromNumber = (inventory: Inventory, lowest: number): Inventory =>
  inventory.flatMap((range) =>
    range.to < lowest ? [] : [{ ...range, from: Math.max(range.from, lowest) }],
  );

/** What a peer has and this archive lacks, below `lowest` left out: nobody needs it any more. */
export const lacking = (own: Inventory, peer: Inventory, lowest: number): Inventory =>
  subtract(fromNumber(peer, lowest), own);

export function contains(inventory: Inventory, { timeline, number }: Segment): boolean {
  let [low, high] = [0, inventory.length - 1];
  while (low <= high) {
    const middle = (low + high) >> 1;
    const range = inventory[middle];
    if (range === undefined) return false;
    if (isBehind(range, timeline, number)) high = middle - 1;
    else if (range.timeline < timeline || range.to < number) low = middle + 1;
    else return true;
  }
  return false;
}

export const countSegments = (inventory: Inventory): number =>
  inventory.reduce((sum, { from, to }) => sum + to - from + 1, 0);

/** For people: `segment 00000001000000000000000A`, or `7 segments from … to …`. */
export function describeRange(range: SegmentRange, segmentBytes: number): string {
  const name = (number: number): string =>
    nameOfSegment({ timeline: range.timeline, number }, segmentBytes);
  if (range.from === range.to) return `segment ${name(range.from)}`;
  const count = range.to - range.from + 1;
  return `${count} segments from ${name(range.from)} to ${name(range.to)}`;
}

function rangesOf(timeline: number, numbers: readonly number[]): SegmentRange[] {
  const ranges: { timeline: number; from: number; to: number }[] = [];
  // An array of numbers sorts itself without a comparison function: several times faster.
  for (const number of Float64Array.from(numbers).sort()) {
    const last = ranges.at(-1);
    if (last !== undefined && number <= last.to + 1) last.to = number;
    else ranges.push({ timeline, from: number, to: number });
  }
  return ranges;
}

/** Calls for every range of `ranges` with the parts of it that are in `others`. One pass. */
function forEachOverlap(
  ranges: Inventory,
  others: Inventory,
  visit: (range: SegmentRange, overlaps: readonly SegmentRange[]) => void,
): void {
  let first = 0;
  for (const range of ranges) {
    while (isBefore(others[first], range)) first += 1;
    const overlaps: SegmentRange[] = [];
    for (let at = first; ; at += 1) {
      const other = others[at];
      if (other === undefined || isBehind(other, range.timeline, range.to)) break;
      const [from, to] = [Math.max(other.from, range.from), Math.min(other.to, range.to)];
      overlaps.push({ timeline: range.timeline, from, to });
    }
    visit(range, overlaps);
  }
}

/** Whether all of it comes before another range. */
const isBefore = (range: SegmentRange | undefined, other: SegmentRange): boolean =>
  range !== undefined &&
  (range.timeline < other.timeline || (range.timeline === other.timeline && range.to < other.from));

/** Whether all of it comes behind a segment. */
const isBehind = (range: SegmentRange, timeline: number, number: number): boolean =>
  range.timeline > timeline || (range.timeline === timeline && range.from > number);

const sorted = (ranges: readonly SegmentRange[]): readonly SegmentRange[] =>
  ranges.toSorted((a, b) => a.timeline - b.timeline || a.from - b.from);
