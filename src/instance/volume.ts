/**
 * The data volume: what is in it, and how it is filled so that a crash at any instant leaves it
 * either empty or complete.
 *
 *     pgdata.new     being filled; has never been complete, so it may be thrown away
 *     pgswarm.json   whose volume it is
 *     pgdata         the data directory: complete, never deleted
 *
 * Filling writes, each step durable before the next: the content of `pgdata.new`, then the tag,
 * then the name `pgdata`. The rename commits: a tag beside `pgdata.new` but without `pgdata` is the
 * trace of a filling that a crash cut short. Clearing it away removes the tag first, so that a
 * second crash leaves `pgdata.new` alone, which is cleared away just the same. A tag alone can only
 * mean that a data directory was there and is not any more: nothing is done with such a volume.
 */
import { mkdir, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { readText, syncDirectory, writeDurably } from '../adapters/postgres/durable-files';
import { messageOf } from '../core/errors';
import { type VolumeReport, type VolumeTag } from '../core/protocol';

const DATA = 'pgdata';
const UNFINISHED = 'pgdata.new';
const TAG = 'pgswarm.json';
/** Our lock, what mkfs leaves behind, and a tag whose writing was cut short. */
const IGNORED: readonly string[] = ['.lock', 'lost+found', `${TAG}.new`];

export interface VolumeOwner {
  readonly cluster: string;
  readonly server: string;
}

export const dataDirectory = (volume: string): string => join(volume, DATA);

/** Clears away an unfinished filling, then says what the volume holds. Needs the volume's lock. */
export async function openVolume(volume: string, owner: VolumeOwner): Promise<VolumeReport> {
  const report = await readVolume(volume, owner);
  if (report.kind !== 'empty') return report;
  try {
    if ((await readdir(volume)).includes(UNFINISHED)) await clearUnfinished(volume);
    return report;
  } catch (error) {
    return { kind: 'unusable', detail: messageOf(error) };
  }
}

/** What the volume holds, an unfinished filling counting as nothing. Changes nothing. */
export async function readVolume(volume: string, owner: VolumeOwner): Promise<VolumeReport> {
  try {
    const names = await readdir(volume);
    const foreign = names.filter((name) => ![DATA, UNFINISHED, TAG, ...IGNORED].includes(name));
    if (foreign.length > 0) return { kind: 'foreign', detail: `unknown in it: ${list(foreign)}` };
    if (names.includes(DATA)) return tagged(await readText(join(volume, TAG)), owner);
    if (names.includes(UNFINISHED) || !names.includes(TAG)) return { kind: 'empty' };
    return { kind: 'foreign', detail: `${TAG} is in it but the data directory ${DATA} is gone` };
  } catch (error) {
    return { kind: 'unusable', detail: messageOf(error) };
  }
}

/** An empty directory to fill; what was there under this name was never complete. */
export async function beginFilling(volume: string): Promise<string> {
  const path = join(volume, UNFINISHED);
  await rm(path, { recursive: true, force: true });
  await mkdir(path, { mode: 0o700 });
  return path;
}

/** Gives the filled directory its tag and its final name; its content must be durable. */
export async function commitFilling(volume: string, tag: VolumeTag): Promise<void> {
  await syncDirectory(join(volume, UNFINISHED));
  await writeDurably(join(volume, TAG), `${JSON.stringify(tag, null, 2)}\n`);
  await rename(join(volume, UNFINISHED), join(volume, DATA));
  await syncDirectory(volume);
}

async function clearUnfinished(volume: string): Promise<void> {
  await rm(join(volume, TAG), { force: true });
  await syncDirectory(volume);
  await rm(join(volume, UNFINISHED), { recursive: true, force: true });
  await syncDirectory(volume);
}

function tagged(text: string | null, owner: VolumeOwner): VolumeReport {
  if (text === null) return { kind: 'foreign', detail: `${DATA} is in it, but no ${TAG}` };
  const tag = parseTag(text);
  if (tag === null) return { kind: 'foreign', detail: `${TAG} is not readable` };
  if (tag.cluster === owner.cluster && tag.server === owner.server) return { kind: 'tagged', tag };
  const detail =
    `it belongs to server ${tag.server} of cluster ${tag.cluster}, ` +
    `expected is the volume of ${owner.server} of ${owner.cluster}`;
  return { kind: 'foreign', detail };
}

function parseTag(text: string): VolumeTag | null {
  let value: Partial<Record<keyof VolumeTag, unknown>> | null;
  try {
    value = JSON.parse(text) as typeof value;
  } catch {
    return null;
  }
  const { cluster, server, systemIdentifier, volumeId } = value ?? {};
  if (typeof cluster !== 'string' || typeof server !== 'string') return null;
  if (typeof systemIdentifier !== 'string' || typeof volumeId !== 'string') return null;
  return { cluster, server, systemIdentifier, volumeId };
}

const NAMES_SHOWN_MAX = 5;
const list = (names: readonly string[]): string =>
  names.toSorted().slice(0, NAMES_SHOWN_MAX).join(', ') +
  (names.length > NAMES_SHOWN_MAX ? ` and ${String(names.length - NAMES_SHOWN_MAX)} more` : '');
