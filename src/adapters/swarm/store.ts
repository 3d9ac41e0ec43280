/**
 * Records in Swarm's Raft store. A record is a config object whose JSON is in a label: Swarm lets
 * labels of a config be changed, its data never (Docker API v1.41, `ConfigUpdate`). The version in
 * the update makes it a compare-and-set: "update out of sequence" if anybody wrote in between.
 */
import { OperatingError } from '../../core/errors';
import { PAYLOAD_LABEL } from '../../core/names';
import { type Store, type StoredRecord } from '../../core/ports';
import { type Docker } from './docker';
import { hasCode } from './errors';

/** Swarm accepts labels of 900 kB; a record that comes near has lost its way. */
const PAYLOAD_BYTES_MAX = 800_000;
/** A config must have data; this one is for people who look at it. */
const DATA = Buffer.from(`A record of pgswarm: see the label ${PAYLOAD_LABEL}.\n`).toString(
  'base64',
);

type Labels = Readonly<Record<string, string>>;

/** Keeps the labels beside the payload, because an update replaces all of them. */
interface LabelledRecord<T> extends StoredRecord<T> {
  readonly labels: Labels;
}

/** The parts of Docker's `Config` that are read. */
interface ConfigSeen {
  readonly ID: string;
  readonly Version: { readonly Index: number };
  readonly Spec: { readonly Name: string; readonly Labels?: Labels };
}

export function createStore(docker: Docker): Store {
  async function list(): Promise<readonly StoredRecord<unknown>[]> {
    const filters = { label: [PAYLOAD_LABEL] };
    const configs = (await docker.get('/configs', { query: { filters } })) as ConfigSeen[];
    return configs
      .map((config) => recordOf(config))
      .toSorted((a, b) => a.name.localeCompare(b.name));
  }

  async function read<T>(name: string): Promise<StoredRecord<T> | null> {
    const config = await find(name);
    return config === null ? null : recordOf<T>(config);
  }

  /** By name: Docker also takes the beginning of an id for one, but not for ours: they have dots. */
  async function find(name: string): Promise<ConfigSeen | null> {
    try {
      return (await docker.get(`/configs/${encodeURIComponent(name)}`)) as ConfigSeen;
    } catch (error) {
      if (hasCode(error, 'NotFound')) return null;
      throw error;
    }
  }

  async function create<T>(name: string, value: T, labels: Labels = {}): Promise<StoredRecord<T>> {
    const written = { ...labels, ...payloadOf(name, value) };
    const body = { Name: name, Data: DATA, Labels: written };
    const { ID: id } = (await docker.post('/configs/create', { body })) as { ID: string };
    return readBack<T>(id, written);
  }

  async function update<T>(record: StoredRecord<unknown>, value: T): Promise<StoredRecord<T>> {
    const { id, name, version, labels } = record as LabelledRecord<unknown>;
    const written = { ...labels, ...payloadOf(name, value) };
    const body = { Name: name, Labels: written };
    await docker.post(`/configs/${id}/update`, { query: { version }, body });
    return readBack<T>(id, written);
  }

  /**
   * Docker's answer to a write does not have the new version. What is read right after it may
   * already be the next writer's: its version must not be taken for that of our own value.
   */
  async function readBack<T>(id: string, written: Labels): Promise<StoredRecord<T>> {
    const config = (await docker.get(`/configs/${id}`)) as ConfigSeen;
    if (config.Spec.Labels?.[PAYLOAD_LABEL] === written[PAYLOAD_LABEL]) return recordOf<T>(config);
    const text = `The record ${config.Spec.Name} was written again at once by somebody else.`;
    throw new OperatingError('stale', 'StaleVersion', text);
  }

  async function remove(record: StoredRecord<unknown>): Promise<void> {
    await docker.delete(`/configs/${record.id}`);
  }

  return { list, read, create, update, remove };
}

function payloadOf(name: string, value: unknown): Labels {
  const json = JSON.stringify(value);
  const bytes = Buffer.byteLength(json);
  if (bytes <= PAYLOAD_BYTES_MAX) return { [PAYLOAD_LABEL]: json };
  const text = `The record ${name} has ${bytes} bytes; Swarm keeps at most ${PAYLOAD_BYTES_MAX}. Make the spec smaller.`;
  throw new OperatingError('refused', 'RecordTooLarge', text);
}

function recordOf<T>(config: ConfigSeen): LabelledRecord<T> {
  const { Name: name, Labels: labels = {} } = config.Spec;
  return {
    name,
    id: config.ID,
    version: config.Version.Index,
    value: parsePayload(name, labels[PAYLOAD_LABEL]) as T,
    labels,
  };
}

/** A record that cannot be read is an error, never an absent record: that would mean "no cluster". */
function parsePayload(name: string, json: string | undefined): unknown {
  try {
    return JSON.parse(json ?? '');
  } catch (error) {
    const text = `The record ${name} has no readable JSON in its label ${PAYLOAD_LABEL}. Somebody has changed it by hand: put it back, or remove it with \`docker config rm ${name}\`.`;
    throw new OperatingError('refused', 'RecordBroken', text, error);
  }
}
