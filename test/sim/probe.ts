/** What is put around functions of the real code, without changing what they answer. */
import * as decideModule from '../../src/core/decide';
import * as diffModule from '../../src/core/diff';
import { type Decision } from '../../src/core/decide';
import { type Situation } from '../../src/core/situation';
import { currentProcess } from './kernel/virtual-time';

type Observer = (node: string, situation: Situation, decision: Decision) => void;

let observer: Observer | null = null;

/** null: nobody looks. */
export function observeDecisions(observe: Observer | null): void {
  observer = observe;
}

/** Every decision is shown, with everything that it was made on. */
export function installProbe(): void {
  const { decide } = decideModule;
  Object.assign(decideModule, {
    decide: (situation: Situation): Decision => {
      const decision = decide(situation);
      observer?.(currentProcess()?.host ?? '', situation, decision);
      return decision;
    },
  });
}

/** Services hardly ever change, but are compared with every decision: a quarter of all the time. */
export function installMemory(): void {
  const { differences } = diffModule;
  const known = new WeakMap<object, Map<string, readonly string[]>>();
  Object.assign(diffModule, {
    differences: (...[desired, seen, ids]: Parameters<typeof differences>): readonly string[] => {
      if (typeof seen !== 'object' || seen === null) return differences(desired, seen, ids);
      const answers = known.get(seen) ?? new Map<string, readonly string[]>();
      known.set(seen, answers);
      const question = JSON.stringify([desired, ids]);
      const answer = answers.get(question) ?? differences(desired, seen, ids);
      answers.set(question, answer);
      return answer;
    },
  });
}
