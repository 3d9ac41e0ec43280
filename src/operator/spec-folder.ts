/**
 * Follows a folder of cluster files. A file is applied when its content changes while this
 * operator leads, or when its content was never applied before: an operator that takes over with
 * an old copy of the folder must not move the primary back. A file that vanishes changes nothing.
 */
import { createHash } from 'node:crypto';
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { messageOf } from '../core/errors';
import { type Finding, formatFindings } from '../core/findings';
import { type Spec } from '../core/spec';
import { type Log } from '../adapters/log';

/** Editors replace files, network file systems do not notify: looking is the one way that works. */
const POLL_MS = 1_000;

export interface FolderPorts {
  readonly log: Log;
  /** Reads and checks one file, cross-cluster checks included. */
  readonly validate: (
    path: string,
  ) => Promise<{ spec: Spec | null; document: unknown; findings: readonly Finding[] }>;
  /** Digests of contents that were applied before, for this cluster. */
  readonly appliedDigests: (cluster: string) => Promise<readonly string[]>;
  readonly accept: (file: ValidFile) => Promise<void>;
  readonly refuse: (path: string, document: unknown, message: string) => void;
}

export interface ValidFile {
  readonly path: string;
  readonly digest: string;
  readonly spec: Spec;
  readonly document: unknown;
}

export class SpecFolder {
  readonly #folder: string;
  readonly #ports: FolderPorts;
  /** Last content seen, by path. */
  readonly #seen = new Map<string, { readonly stamp: string; readonly digest: string }>();
  #timer: NodeJS.Timeout | null = null;
  #isStopped = true;

  constructor(folder: string, ports: FolderPorts) {
    this.#folder = folder;
    this.#ports = ports;
  }

  /** Begins to follow; what the folder holds now counts as seen only where it was applied before. */
  start(): void {
    this.#isStopped = false;
    this.#seen.clear();
    void this.#poll();
  }

  stop(): void {
    this.#isStopped = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
  }

  async #poll(): Promise<void> {
    try {
      const names = (await readdir(this.#folder)).filter((name) => /\.ya?ml$/.test(name)).sort();
      for (const name of names) await this.#lookAt(join(this.#folder, name));
    } catch (error) {
      this.#ports.log.warn('the watched folder cannot be read', {
        folder: this.#folder,
        message: messageOf(error),
      });
    }
    if (!this.#isStopped) this.#timer = setTimeout(() => void this.#poll(), POLL_MS);
  }

  async #lookAt(path: string): Promise<void> {
    const { mtimeMs, size, ino } = await stat(path);
    const stamp = `${String(mtimeMs)} ${String(size)} ${String(ino)}`;
    const before = this.#seen.get(path);
    if (before?.stamp === stamp) return;
    const digest = createHash('sha256')
      .update(await readFile(path))
      .digest('hex');
    const { spec, document, findings } = await this.#ports.validate(path);
    if (before?.digest !== digest) await this.#offer({ path, digest, spec, document }, findings);
    this.#seen.set(path, { stamp, digest });
  }

  async #offer(
    file: Omit<ValidFile, 'spec'> & { readonly spec: Spec | null },
    findings: readonly Finding[],
  ): Promise<void> {
    const { path, digest, spec, document } = file;
    if (spec === null) {
      this.#ports.refuse(path, document, formatFindings(findings));
      return;
    }
    const isFirstLook = !this.#seen.has(path);
    const applied = isFirstLook ? await this.#ports.appliedDigests(spec.cluster) : [];
    if (applied.includes(digest)) return;
    await this.#ports.accept({ ...file, spec });
  }
}
