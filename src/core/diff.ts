/**
 * Compares the service that should be with the one that Docker shows. Everything that pgswarm sets
 * is compared, whatever it is; what Docker adds by itself (`Isolation`, `Runtime`, `FailureAction`)
 * is not. A spec is first flattened to facts, `path → value`, so that comparing is comparing maps.
 */
import { type ServiceSpecDesired } from './steps';

/** Docker shows networks by id: the ids of those that are known, by name. */
export type NetworkIds = Readonly<Record<string, string>>;

/** Readable and sorted: `image a → b`, `env PGSWARM_SERVER missing`; empty when nothing differs. */
export function differences(
  desired: ServiceSpecDesired,
  seen: unknown,
  networkIds: NetworkIds = {},
): readonly string[] {
  const wanted = factsOf(desired, ROOT, networkIds);
  const found = new Map(factsOf(seen, ROOT, networkIds).map((fact) => [fact.path, fact]));
  const wantedPaths = new Set(wanted.map(({ path }) => path));
  const changed = wanted
    // A missing mount is one difference, not one for each of its fields.
    .filter(({ within }) => within === null || found.has(within))
    .filter((fact) => !isSame(fact, found.get(fact.path)))
    .map((fact) => sentence(fact, found.get(fact.path)));
  const others = [...found.values()]
    .filter(({ path, isItem }) => isItem && !wantedPaths.has(path))
    .map(({ path }) => unwanted(path));
  return [...changed, ...others].toSorted();
}

/** The words for a mount that should not be there. */
export const unwantedMount = (target: string): string => unwanted(`mount ${target}`);

const unwanted = (path: string): string => `${path} not wanted`;

interface Fact {
  readonly path: string;
  readonly value: string;
  /** An entry of a collection: there must be no others than ours. */
  readonly isItem: boolean;
  /** Path of the entry that this is a part of. */
  readonly within: string | null;
}

interface Place {
  /** Docker's name of the field. */
  readonly field: string;
  /** Readable path so far. */
  readonly words: readonly string[];
  readonly within: string | null;
}

const ROOT: Place = { field: '', words: [], within: null };

type Fields = Readonly<Record<string, unknown>>;
type Entry = readonly [key: string, value: unknown];

/** A list or a map whose entries are known by a key: Docker may reorder it, and we own all of it. */
interface Collection {
  /** What an entry is called. */
  readonly noun: string;
  readonly entries: (value: unknown, networkIds: NetworkIds) => readonly Entry[];
}

const COLLECTIONS: Readonly<Record<string, Collection>> = {
  Labels: { noun: 'label', entries: (value) => Object.entries(value as Fields) },
  Env: { noun: 'env', entries: (value) => (value as readonly string[]).map(assignment) },
  Constraints: {
    noun: 'constraint',
    entries: (value) => (value as readonly string[]).map((each): Entry => [each, undefined]),
  },
  Mounts: { noun: 'mount', entries: keyedBy('Target') },
  Ports: { noun: 'port', entries: keyedBy('TargetPort') },
  Secrets: {
    noun: 'secret',
    entries: (value) => keyedBy('File.Name')((value as readonly Fields[]).map(withoutId)),
  },
  Networks: {
    noun: 'network',
    entries: (value, networkIds) =>
      keyedBy('Target')(value).map(([id, rest]): Entry => [networkNameOf(id, networkIds), rest]),
  },
};

/**
 * Words for people, by field or by field within its parent; any other field is shown as Docker
 * spells it. Empty: the level only groups, or its entries have a noun of their own.
 */
const WORDS: Readonly<Record<string, string>> = {
  TaskTemplate: '',
  ContainerSpec: '',
  Placement: '',
  Mode: '',
  Replicated: '',
  EndpointSpec: '',
  Env: '',
  Constraints: '',
  Mounts: '',
  Ports: '',
  Secrets: '',
  Networks: '',
  Labels: '',
  'ContainerSpec.Labels': 'container',
  Image: 'image',
  Args: 'arguments',
  Hostname: 'host name',
  StopGracePeriod: 'stop grace period',
  CapabilityDrop: 'dropped capabilities',
  Replicas: 'replicas',
};

/** Lists of plain values whose order means nothing. */
const UNORDERED: ReadonlySet<string> = new Set(['Aliases', 'CapabilityDrop']);

function factsOf(value: unknown, place: Place, networkIds: NetworkIds): readonly Fact[] {
  if (value === null || value === undefined) return [];
  const collection = COLLECTIONS[place.field];
  if (collection !== undefined) return itemFacts(collection, value, place, networkIds);
  if (Array.isArray(value)) {
    const texts = value.map(String);
    const ordered = UNORDERED.has(place.field) ? texts.toSorted() : texts;
    return ordered.length === 0 ? [] : [factAt(place, ordered.join(' '))];
  }
  if (typeof value === 'string') return [factAt(place, value)];
  if (typeof value !== 'object') return [factAt(place, JSON.stringify(value))];
  return Object.entries(value).flatMap(([field, each]) =>
    factsOf(each, { ...place, field, words: [...place.words, wordFor(place, field)] }, networkIds),
  );
}

function itemFacts(
  collection: Collection,
  list: unknown,
  place: Place,
  networkIds: NetworkIds,
): readonly Fact[] {
  return collection.entries(list, networkIds).flatMap(([key, each]) => {
    const words = [...place.words, collection.noun, key];
    const path = pathOf(words);
    const value = typeof each === 'string' ? each : '';
    const item = { path, value, isItem: true, within: place.within };
    if (typeof each !== 'object') return [item];
    return [item, ...factsOf(each, { field: '', words, within: path }, networkIds)];
  });
}

const wordFor = (parent: Place, field: string): string =>
  WORDS[`${parent.field}.${field}`] ?? WORDS[field] ?? field;

const pathOf = (words: readonly string[]): string => words.filter((word) => word !== '').join(' ');

function factAt({ words, within }: Place, value: string): Fact {
  return { path: pathOf(words), value, isItem: false, within };
}

/** `NAME=value`, as Docker writes an environment variable. */
function assignment(text: string): Entry {
  const at = text.indexOf('=');
  return at < 0 ? [text, ''] : [text.slice(0, at), text.slice(at + 1)];
}

/** A secret's reference without the id: the name says the same, and is what we know. */
function withoutId(reference: Fields): Fields {
  return Object.fromEntries(Object.entries(reference).filter(([field]) => field !== 'SecretID'));
}

/** Entries of a list of objects by one of their fields, `Outer.Inner` for a field of a field. */
function keyedBy(field: string): (value: unknown) => readonly Entry[] {
  const [outer = '', inner] = field.split('.');
  return (value) =>
    (value as readonly Fields[]).map((item) => {
      const { [outer]: key, ...rest } = item;
      if (inner === undefined) return [String(key), rest];
      const { [inner]: innerKey, ...innerRest } = key as Fields;
      return [String(innerKey), { ...rest, [outer]: innerRest }];
    });
}

function networkNameOf(target: string, networkIds: NetworkIds): string {
  return Object.entries(networkIds).find(([, id]) => id === target)?.[0] ?? target;
}

/** Docker leaves zero values out of what it shows. */
const ZEROS: ReadonlySet<string> = new Set(['', '0', 'false']);

function isSame(wanted: Fact, found: Fact | undefined): boolean {
  if (found === undefined) return !wanted.isItem && ZEROS.has(wanted.value);
  if (wanted.value === found.value) return true;
  // A registry's answer pins the tag that was asked for; it is still the image that was asked for.
  return wanted.path === WORDS['Image'] && found.value.startsWith(`${wanted.value}@sha256:`);
}

function sentence(wanted: Fact, found: Fact | undefined): string {
  if (found !== undefined) return `${wanted.path} ${found.value} → ${wanted.value}`;
  return wanted.isItem ? `${wanted.path} missing` : `${wanted.path} missing → ${wanted.value}`;
}
