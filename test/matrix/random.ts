/** A sequence of cells that looks random and is the same for the same seed. */
import { type Cell } from './cells';

/** Marsaglia's xorshift32: small, and good enough to choose from a list. */
export function randomCells(cells: readonly Cell[], count: number, seed: number): Cell[] {
  let state = seed >>> 0 || 1;
  const next = (): number => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    state >>>= 0;
    return state;
  };
  return Array.from({ length: count }, () => cells[next() % cells.length]!);
}
