/** Measures the operator's work from outside: whoever does it need not know. */
import { OperatingError, type ErrorKind } from '../core/errors';
import { type Clock, type Store } from '../core/ports';
import { type ClusterLoop } from './cluster-machine';
import { type OperatorMeter } from './operator-metrics';

/** A round begins with a look, and ends when there is nothing to do, or it is done, or has failed. */
export function measuredLoop(
  loop: ClusterLoop,
  { monotonicMs }: Pick<Clock, 'monotonicMs'>,
  meter: Pick<OperatorMeter, 'round'>,
): ClusterLoop {
  let beganMs = monotonicMs();
  const ended = (failure: ErrorKind | null): void => meter.round(monotonicMs() - beganMs, failure);
  return {
    observe: async () => {
      beganMs = monotonicMs();
      return await loop.observe();
    },
    decide: () => {
      const outcome = loop.decide();
      if (!outcome.hasSteps) ended(null);
      return outcome;
    },
    apply: async () => {
      const done = await loop.apply();
      ended(null);
      return done;
    },
    failed: (error) => {
      const kind = loop.failed(error);
      ended(kind);
      return kind;
    },
  };
}

/** `pgswarm.leader`, `pgswarm.orders.state`: the last word tells what it is. */
const purposeOf = (name: string): string => name.split('.').at(-1) ?? '';

/** Counts writes, in whatever way they end. */
export function measuredStore(store: Store, meter: Pick<OperatorMeter, 'written'>): Store {
  const counted = async <T>(name: string, writing: Promise<T>): Promise<T> => {
    try {
      const written = await writing;
      meter.written(purposeOf(name), 'done');
      return written;
    } catch (error) {
      const isStale = error instanceof OperatingError && error.kind === 'stale';
      meter.written(purposeOf(name), isStale ? 'stale' : 'failed');
      throw error;
    }
  };
  return {
    list: () => store.list(),
    read: (name) => store.read(name),
    create: (name, value, labels) => counted(name, store.create(name, value, labels)),
    update: (record, value) => counted(record.name, store.update(record, value)),
    remove: (record) => counted(record.name, store.remove(record)),
  };
}
