/** S1: at most one instance can acknowledge a write at any moment. */
import { type Happening, type ServerTruth } from '../world/journal';
import { type Checker, type Truth } from './checker';

/**
 * A machine that stood still does not know it yet: its guard kills PostgreSQL so soon after it goes
 * on (issue 3: "dead within 50 ms of the thaw").
 */
const THAW_MS = 60;

export class SinglePrimary implements Checker {
  readonly invariant = 'S1';
  readonly #truth: Truth;

  constructor(truth: Truth) {
    this.#truth = truth;
  }

  see(happening: Happening, atMs: number): string | null {
    const { kind } = happening;
    if (kind !== 'writable' && kind !== 'acknowledged' && kind !== 'thawed') return null;
    const able = this.#truth.servers().filter((server) => isAble(server, atMs));
    if (able.length < 2) return null;
    return `${able.map(({ name }) => name).join(' and ')} can acknowledge writes at the same time`;
  }
}

const isAble = ({ canAcknowledge, thawedAtMs }: ServerTruth, atMs: number): boolean =>
  canAcknowledge && atMs - thawedAtMs > THAW_MS;
