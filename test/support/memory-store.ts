/** The store without a Swarm: the same compare-and-set, and faults on request. */
import { OperatingError } from '../../src/core/errors';
import { type Store, type StoredRecord } from '../../src/core/ports';

export class MemoryStore implements Store {
  readonly #records = new Map<string, StoredRecord<unknown>>();
  #index = 0;

  list(): Promise<readonly StoredRecord<unknown>[]> {
    return Promise.resolve([...this.#records.values()]);
  }

  read<T>(name: string): Promise<StoredRecord<T> | null> {
    return Promise.resolve((this.#records.get(name) as StoredRecord<T> | undefined) ?? null);
  }

  create<T>(name: string, value: T): Promise<StoredRecord<T>> {
    if (this.#records.has(name)) return rejected(`${name} exists`);
    return Promise.resolve(this.#write(name, value));
  }

  update<T>(record: StoredRecord<unknown>, value: T): Promise<StoredRecord<T>> {
    if (this.#records.get(record.name)?.version !== record.version) {
      return rejected(`${record.name} was written in between`);
    }
    return Promise.resolve(this.#write(record.name, value));
  }

  remove(record: StoredRecord<unknown>): Promise<void> {
    this.#records.delete(record.name);
    return Promise.resolve();
  }

  /** What is in it at this moment, by the first group of the pattern. */
  now<T>(name: RegExp): ReadonlyMap<string, T> {
    const found = [...this.#records.values()].flatMap((record): [string, T][] => {
      const key = name.exec(record.name)?.[1];
      return key === undefined ? [] : [[key, record.value as T]];
    });
    return new Map(found);
  }

  #write<T>(name: string, value: T): StoredRecord<T> {
    this.#index += 1;
    const record = { name, id: name, version: this.#index, value };
    this.#records.set(name, record);
    return record;
  }
}

/** How a connection to the store behaves; may be changed at any time. */
export interface Connection {
  /** `silent`: nothing arrives. `deaf`: writes arrive, their answers do not. */
  state: 'open' | 'silent' | 'deaf';
}

/** One client's way to a store. */
export function through(store: Store, connection: Connection): Store {
  const never = new Promise<never>(() => undefined);
  const call = <T>(act: () => Promise<T>): Promise<T> => {
    if (connection.state === 'silent') return never;
    if (connection.state === 'open') return act();
    void act().catch(() => undefined);
    return never;
  };
  return {
    list: () => call(() => store.list()),
    read: (name) => call(() => store.read(name)),
    create: (name, value, labels) => call(() => store.create(name, value, labels)),
    update: (record, value) => call(() => store.update(record, value)),
    remove: (record) => call(() => store.remove(record)),
  };
}

function rejected(text: string): Promise<never> {
  return Promise.reject(new OperatingError('stale', 'StaleVersion', text));
}
