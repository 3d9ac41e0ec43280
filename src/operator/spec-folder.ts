/**
 * Follows a folder of cluster files. A file is applied when its content changes while this
 * operator leads, or when its content was never applied before: an operator that takes over with
 * an old copy of the folder must not move the primary back. A file that vanishes changes nothing.
 */
import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { messageOf } from '../core/errors';
import { type Finding, formatFindings } from '../core/findings';
import { type Spec } from '../core/spec';
import { stampOf } from '../adapters/files/stamp';
import { type Log } from '../adapters/log';

/** Editors replace files, network file systems do not notify: looking is the one way that works. */
const POLL_MS = 1_000;
/** A file that has just changed may be half written: it must be the same one so much later. */
const SETTLE_MS = 200;

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

/** Hidden files are those that editors keep beside the one that is edited. */
const isClusterFile = (name: string): boolean => /^[^.].*\.ya?ml$/.test(name);

export class SpecFolder {
  readonly #folder: string;
  readonly #ports: FolderPorts;
  /** Last content seen, by path. */
  readonly #seen = new Map<string, { readonly stamp: string; readonly digest: string }>();
  /** Stamps of files that have changed since, by path. */
  readonly #moving = new Map<string, string>();
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
    let isMoving = false;
    try {
      const names = (await readdir(this.#folder)).filter(isClusterFile).sort();
      for (const name of names) {
        if ((await this.#lookAt(join(this.#folder, name))) === 'moving') isMoving = true;
      }
    } catch (error) {
      this.#ports.log.warn('the watched folder cannot be read', {
        folder: this.#folder,
        message: messageOf(error),
      });
    }
    if (this.#isStopped) return;
    this.#timer = setTimeout(() => void this.#poll(), isMoving ? SETTLE_MS : POLL_MS);
  }

  async #lookAt(path: string): Promise<'moving' | 'seen'> {
    const stamp = await stampOf(path);
    const before = this.#seen.get(path);
    if (stamp === null || before?.stamp === stamp) return 'seen';
    if (this.#moving.get(path) !== stamp) {
      this.#moving.set(path, stamp);
      return 'moving';
    }
    const digest = createHash('sha256')
      .update(await readFile(path))
      .digest('hex');
    const { spec, document, findings } = await this.#ports.validate(path);
    // It was read twice: written in between, it may be two files.
    if ((await stampOf(path)) !== stamp) return 'moving';
    if (before?.digest !== digest) await this.#offer({ path, digest, spec, document }, findings);
    this.#seen.set(path, { stamp, digest });
    this.#moving.delete(path);
    return 'seen';
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
