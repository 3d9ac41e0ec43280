/** Since when each condition is as it is, as one leader has seen it. */
import { type Condition } from '../core/status';

export class ConditionClock {
  readonly #since = new Map<string, { readonly key: string; readonly since: string }>();

  /** The condition with its time; `now` when it was another one before. */
  stamp(condition: Condition, now: string): Condition {
    const key = `${condition.status} ${condition.reason}`;
    const before = this.#since.get(condition.type);
    const since = before?.key === key ? before.since : now;
    this.#since.set(condition.type, { key, since });
    return { ...condition, since };
  }
}
