/** Which of a repository's YAML files are about our kinds, and what they say. */
import { setImmediate as others } from 'node:timers/promises';
import { OperatingError } from '../../core/errors';
import { type GitFile } from '../../core/git/follow';
import { type Finding } from '../../core/findings';
import { documentOf } from '../files/documents';
import { type GitRepository, type TreeEntry } from './repository';

/** A file of ours, read. */
export interface ReadFile extends GitFile {
  readonly mode: string;
  /** null: it is too large, or not text. */
  readonly text: string | null;
  /** undefined when nothing could be read. */
  readonly document: unknown;
  readonly findings: readonly Finding[];
}

type Content = Pick<ReadFile, 'cluster' | 'text' | 'document' | 'findings'>;

/** Whatever has none of these is not about us, and is not looked at any further. */
const MARKS = ['pgswarm.dev/', 'PostgresCluster'];
/** The leader has leases to grant meanwhile, also between two files of a megabyte each. */
const AT_ONCE = 25;
/** Of all files about us: more than thousands of clusters take. */
const TEXT_BYTES_MAX = 16 * 1024 ** 2;

/** Reads what it has not read before: a blob is the same for ever. */
export class GitFiles {
  readonly #repository: GitRepository;
  /** null: not about our kinds. */
  #known = new Map<string, Content | null>();

  constructor(repository: GitRepository) {
    this.#repository = repository;
  }

  /** Files at `head` that are about our kinds; those at `ours` are, whatever is in them now. */
  async at(
    head: string,
    ours: ReadonlySet<string>,
    signal: AbortSignal,
  ): Promise<readonly ReadFile[]> {
    const entries = await this.#repository.files(head, signal);
    await this.#read(entries, ours, signal);
    const files = entries.flatMap((entry): ReadFile[] => {
      const content = this.#known.get(keyOf(entry, ours));
      return content == null ? [] : [{ ...entry, ...content }];
    });
    return files;
  }

  async #read(
    entries: readonly TreeEntry[],
    ours: ReadonlySet<string>,
    signal: AbortSignal,
  ): Promise<void> {
    const wanted = new Map(entries.map((entry) => [keyOf(entry, ours), entry]));
    // What is in no file any more is forgotten.
    const kept = [...this.#known].filter(([key]) => wanted.has(key));
    this.#known = new Map(kept);
    const missing = [...wanted].filter(([key]) => !this.#known.has(key));
    const marked = new Map<string, Buffer | null>();
    let bytes = 0;
    const blobs = [...new Set(missing.map(([, { blob }]) => blob))];
    const forced = new Set(
      missing.flatMap(([, entry]) => (ours.has(entry.path) ? entry.blob : [])),
    );
    await this.#repository.read(
      blobs,
      (blob, content) => {
        const isOurs = content !== null && MARKS.some((mark) => content.includes(mark));
        if (!isOurs && !forced.has(blob)) return;
        bytes += content?.length ?? 0;
        if (bytes <= TEXT_BYTES_MAX) marked.set(blob, content);
      },
      signal,
    );
    // The same blob may stand at many paths, and is kept for each.
    const known = kept.reduce((sum, [, content]) => sum + (content?.text?.length ?? 0), 0);
    const all = missing.reduce((sum, [, { blob }]) => sum + (marked.get(blob)?.length ?? 0), known);
    if (Math.max(bytes, all) > TEXT_BYTES_MAX) throw tooMuch();
    for (const [index, [key, entry]] of missing.entries()) {
      const content = marked.get(entry.blob);
      this.#known.set(key, content === undefined ? null : contentOf(entry.path, content));
      if (content !== undefined || index % AT_ONCE === 0) await others();
      signal.throwIfAborted();
    }
  }
}

function tooMuch(): OperatingError {
  const text = `the files that mention ${MARKS.join(' or ')} have more than ${TEXT_BYTES_MAX / 1024 ** 2} MB in all; name a folder in PGSWARM_GIT_PATH`;
  return new OperatingError('transient', 'GitTooManyFiles', text);
}

/** A finding names the path; and what a path says depends on whether it was ours before. */
const keyOf = ({ path, blob }: TreeEntry, ours: ReadonlySet<string>): string =>
  `${blob} ${ours.has(path) ? 'ours' : ''} ${path}`;

function contentOf(path: string, content: Buffer | null): Content | null {
  const { text, document, findings } = documentOf(content, path);
  if (isForeign(document)) return null;
  return { cluster: clusterOf(document), text, document, findings };
}

/** Another program's object that mentions ours. */
function isForeign(document: unknown): boolean {
  const { apiVersion, kind } = (document ?? {}) as Record<string, unknown>;
  return (
    typeof apiVersion === 'string' &&
    !apiVersion.startsWith('pgswarm.dev/') &&
    kind !== 'PostgresCluster'
  );
}

/** The cluster that a file is about, as far as it can be told. */
export function clusterOf(document: unknown): string | null {
  const { metadata } = (document ?? {}) as { readonly metadata?: { readonly name?: unknown } };
  return typeof metadata?.name === 'string' ? metadata.name : null;
}
