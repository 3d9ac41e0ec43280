/** pgBackRest's `archive-push`, to be held against: where it is installed, beside PostgreSQL. */
import { execFile } from 'node:child_process';
import { chmod, chown, mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { type Compression } from '../../src/core/archive/stored-files';
import { findBinDirectory, runAs } from '../integration/support/instance-process';

const run = promisify(execFile);
const types: Readonly<Record<Compression, string>> = {
  none: 'none',
  gzip: 'gz',
  lz4: 'lz4',
  zstd: 'zst',
};

export class PgBackRest {
  readonly #place: string;

  private constructor(place: string) {
    this.#place = place;
  }

  /** null where it, or PostgreSQL, is not installed. It needs a data directory for its stanza. */
  static async prepare(place: string): Promise<PgBackRest | null> {
    const binDirectory = findBinDirectory();
    const identity = runAs();
    const isInstalled = await run('pgbackrest', ['version']).catch(() => null);
    if (isInstalled === null || binDirectory === null || identity === null) return null;
    const home = join(place, 'pgbackrest');
    await mkdir(home);
    await chmod(place, 0o755);
    const { uid = process.getuid?.() ?? 0, gid = process.getgid?.() ?? 0 } = identity;
    await chown(home, uid, gid);
    await run(join(binDirectory, 'initdb'), ['-D', join(home, 'data'), '--no-sync'], { uid, gid });
    return new PgBackRest(place);
  }

  /** An empty repository. */
  async begin(): Promise<void> {
    await this.end();
    await run('pgbackrest', [...this.#options('none'), '--no-online', 'stanza-create']);
  }

  async end(): Promise<void> {
    const home = join(this.#place, 'pgbackrest');
    for (const name of ['repo', 'spool', 'log', 'lock']) {
      await rm(join(home, name), { recursive: true, force: true });
      await mkdir(join(home, name));
    }
  }

  /** One segment after the other, as `archive_command` is called without `archive-async`. */
  command(compression: Compression, name: string): readonly string[] {
    const path = join(this.#place, 'pg_wal', name);
    const checks = ['--no-archive-header-check', '--no-archive-mode-check'];
    return ['pgbackrest', ...this.#options(compression), ...checks, 'archive-push', path];
  }

  #options(compression: Compression): readonly string[] {
    const home = join(this.#place, 'pgbackrest');
    return [
      ...['--no-config', '--stanza=bench', `--pg1-path=${join(home, 'data')}`],
      ...[`--repo1-path=${join(home, 'repo')}`, `--spool-path=${join(home, 'spool')}`],
      ...[`--log-path=${join(home, 'log')}`, `--lock-path=${join(home, 'lock')}`],
      ...['--log-level-console=off', '--log-level-file=off', '--log-level-stderr=error'],
      `--compress-type=${types[compression]}`,
    ];
  }
}
