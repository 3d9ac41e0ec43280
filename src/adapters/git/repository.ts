/**
 * The operator's copy of the branch that it follows: bare, without large blobs, and at first
 * without old commits; the rest of the history comes when somebody asks what descends from what.
 */
import { chmod, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { COMMIT_FORMAT, parseCommit, type Commit } from '../../core/git/source';
import { isSsh, type GitSettings } from '../../core/git/settings';
import { OperatingError, messageOf } from '../../core/errors';
import { FILE_BYTES_MAX } from '../files/yaml';
import { BlobReader } from './blob-reader';
import { isLocalFault } from './failures';
import { askGit, runGit, type GitOptions } from './git';

export interface TreeEntry {
  readonly path: string;
  readonly blob: string;
  /** `100644`, `100755`. */
  readonly mode: string;
}

export interface Replacement {
  readonly head: string;
  readonly entry: TreeEntry;
  readonly text: string;
  readonly message: string;
}

/** Many repositories need no more to tell that one head follows the other. */
const FIRST_DEPTH = 50;
const FIRST_FETCH_MS = 10 * 60_000;
const FILES_MAX = 50_000;
const AUTHOR = { name: 'pgswarm', email: 'pgswarm@localhost' };

export interface Folders {
  /** For the copy of the repository. */
  readonly cache: string;
  /** In memory: for the copy of the key. */
  readonly run: string;
}

export class GitRepository {
  readonly #settings: GitSettings;
  readonly #folders: Folders;
  #environment: Readonly<Record<string, string>> | null = null;
  #isThere = false;

  constructor(settings: GitSettings, folders: Folders) {
    this.#settings = settings;
    this.#folders = folders;
  }

  /** Fetches the branch and tells where it is now. */
  async fetch(signal: AbortSignal): Promise<Commit> {
    await this.#prepare(signal);
    await this.#fetch([], signal);
    return this.#commit([`refs/remotes/origin/${this.#settings.branch}`], signal);
  }

  /** The YAML files below the path, sorted. */
  async files(head: string, signal: AbortSignal): Promise<readonly TreeEntry[]> {
    const { path } = this.#settings;
    const below = path === '' ? [] : ['--', path];
    const listed = await this.#git(['ls-tree', '-r', '-z', '--full-tree', head, ...below], signal);
    const entries = listed.split('\0').flatMap((line) => {
      const match = /^(100\d+) blob ([0-9a-f]+)\t(.+\.ya?ml)$/is.exec(line);
      if (match === null) return [];
      const [, mode = '', blob = '', name = ''] = match;
      return [{ path: name, blob, mode }];
    });
    if (entries.length <= FILES_MAX) return entries;
    const text = `there are ${entries.length} YAML files in the repository, and ${FILES_MAX} may be; name a folder in PGSWARM_GIT_PATH`;
    throw new OperatingError('transient', 'GitTooManyFiles', text);
  }

  /** Each blob's content, one after the other; null when it is too large to be a cluster's file. */
  async read(
    blobs: readonly string[],
    visit: (blob: string, content: Buffer | null) => void,
    signal: AbortSignal,
  ): Promise<void> {
    if (blobs.length === 0) return;
    const reader = new BlobReader(FILE_BYTES_MAX, visit);
    const onOutput = (part: Buffer): void => reader.push(part);
    await this.#git(['cat-file', '--batch'], signal, { input: `${blobs.join('\n')}\n`, onOutput });
  }

  /** Whether `head` is `ancestor` or comes after it. No is believed of a whole history only. */
  async descends(head: string, ancestor: string, signal: AbortSignal): Promise<boolean> {
    if (await this.#isAncestor(ancestor, head, signal)) return true;
    const shallow = await this.#git(['rev-parse', '--is-shallow-repository'], signal);
    if (shallow.trim() !== 'true') return false;
    await this.#fetch(['--unshallow'], signal, FIRST_FETCH_MS);
    return this.#isAncestor(ancestor, head, signal);
  }

  /** The last commit up to `head` that has changed the file. */
  async lastChange(head: string, path: string, signal: AbortSignal): Promise<Commit> {
    return this.#commit([head, '--', path], signal);
  }

  /** Pushes a commit with another text of one file; throws `GitOutrun` when the branch has moved. */
  async replace({ head, entry, text, message }: Replacement, signal: AbortSignal): Promise<Commit> {
    const file = join(this.#folders.cache, 'pgswarm.index');
    // Nobody else writes here: what there is was left behind by one that was killed.
    for (const left of [file, `${file}.lock`]) await rm(left, { force: true });
    const index = { GIT_INDEX_FILE: file };
    const write = async (args: readonly string[], input = ''): Promise<string> =>
      (await this.#git(args, signal, { input }, index)).trim();
    const blob = await write(['hash-object', '-w', '--stdin'], text);
    await write(['read-tree', head]);
    await write(['update-index', '--cacheinfo', `${entry.mode},${blob},${entry.path}`]);
    const tree = await write(['write-tree', '--missing-ok']);
    const commit = await write(['commit-tree', tree, '-p', head, '-F', '-'], message);
    await this.#git(
      ['push', '--quiet', 'origin', `${commit}:refs/heads/${this.#settings.branch}`],
      signal,
    );
    return this.#commit([commit], signal);
  }

  async #isAncestor(ancestor: string, head: string, signal: AbortSignal): Promise<boolean> {
    if (await this.#ask(['cat-file', '-e', ancestor], signal)) {
      return this.#ask(['merge-base', '--is-ancestor', ancestor, head], signal);
    }
    // Of a commit that is not here nothing descends, unless something else is not here either.
    await this.#git(['rev-list', '--quiet', head], signal);
    return false;
  }

  async #commit(what: readonly string[], signal: AbortSignal): Promise<Commit> {
    const args = ['log', '-1', '--no-show-signature', COMMIT_FORMAT, ...what];
    return parseCommit(await this.#git(args, signal));
  }

  async #fetch(more: readonly string[], signal: AbortSignal, timeoutMs?: number): Promise<void> {
    const { branch } = this.#settings;
    const isFirst = !this.#isThere;
    const depth = isFirst
      ? [`--depth=${FIRST_DEPTH}`, `--filter=blob:limit=${FILE_BYTES_MAX}`]
      : [];
    const refs = `+refs/heads/${branch}:refs/remotes/origin/${branch}`;
    const args = ['fetch', '--quiet', '--no-tags', '--no-write-fetch-head', ...depth, ...more];
    const limit = isFirst ? FIRST_FETCH_MS : timeoutMs;
    await this.#git(
      [...args, 'origin', refs],
      signal,
      limit === undefined ? {} : { timeoutMs: limit },
    );
    this.#isThere = true;
  }

  async #prepare(signal: AbortSignal): Promise<void> {
    if (this.#isThere) return;
    this.#environment = await this.#makeEnvironment();
    const { cache } = this.#folders;
    await rm(cache, { recursive: true, force: true });
    await mkdir(cache, { recursive: true, mode: 0o700 });
    await this.#git(['init', '--quiet', '--bare'], signal);
    await this.#git(['remote', 'add', 'origin', this.#settings.repository], signal);
  }

  async #git(
    args: readonly string[],
    signal: AbortSignal,
    options: Partial<GitOptions> = {},
    more: Readonly<Record<string, string>> = {},
  ): Promise<string> {
    const environment = { ...this.#environment, ...more };
    return this.#judged(args, runGit(args, { ...options, environment, signal }));
  }

  async #ask(args: readonly string[], signal: AbortSignal): Promise<boolean> {
    const environment = { ...this.#environment };
    return this.#judged(args, askGit(args, { environment, signal }));
  }

  /** A copy that was broken by the end of a process, or of the disk, is made anew by the next fetch. */
  async #judged<T>([command]: readonly string[], outcome: Promise<T>): Promise<T> {
    try {
      return await outcome;
    } catch (error) {
      // What a push fails by is the server's affair.
      if (command !== 'push' && isLocalFault(error)) this.#isThere = false;
      throw error;
    }
  }

  async #makeEnvironment(): Promise<Readonly<Record<string, string>>> {
    const { repository } = this.#settings;
    const { run, cache } = this.#folders;
    await mkdir(run, { recursive: true, mode: 0o700 });
    // A repository on this machine may belong to somebody else: it was named, so it is trusted.
    const config = join(run, 'gitconfig');
    await writeFile(config, `[safe]\n\tdirectory = ${JSON.stringify(repository)}\n`);
    const settings = {
      // Redirected, the token would go to another server; a move is to be seen.
      'http.followRedirects': 'false',
      'http.lowSpeedLimit': '100',
      'http.lowSpeedTime': '20',
      'gc.autoDetach': 'false',
      'pack.threads': '1',
      'core.bigFileThreshold': '1m',
      ...(await this.#authorization()),
    };
    return {
      GIT_DIR: cache,
      HOME: run,
      LC_ALL: 'C.UTF-8',
      GIT_CONFIG_NOSYSTEM: '1',
      GIT_CONFIG_GLOBAL: config,
      GIT_TERMINAL_PROMPT: '0',
      GIT_ASKPASS: 'true',
      GIT_LITERAL_PATHSPECS: '1',
      // What was left out is too large to be wanted.
      GIT_NO_LAZY_FETCH: '1',
      GIT_ALLOW_PROTOCOL: 'file:git:http:https:ssh',
      GIT_SSH_COMMAND: await this.#sshCommand(),
      GIT_AUTHOR_NAME: AUTHOR.name,
      GIT_AUTHOR_EMAIL: AUTHOR.email,
      GIT_COMMITTER_NAME: AUTHOR.name,
      GIT_COMMITTER_EMAIL: AUTHOR.email,
      ...configuration(settings),
    };
  }

  async #authorization(): Promise<Readonly<Record<string, string>>> {
    const { repository, tokenFile } = this.#settings;
    if (tokenFile === null) return {};
    const { origin, username } = new URL(repository);
    const user = username === '' ? 'x-access-token' : decodeURIComponent(username);
    const token = (await readSecret(tokenFile)).trim();
    const basic = Buffer.from(`${user}:${token}`).toString('base64');
    return { [`http.${origin}/.extraHeader`]: `Authorization: Basic ${basic}` };
  }

  /** ssh takes no key that others may read, and none without a line's end. */
  async #sshCommand(): Promise<string> {
    const { repository, sshKeyFile, knownHostsFile } = this.#settings;
    if (!isSsh(repository) || sshKeyFile === null || knownHostsFile === null) return 'false';
    const key = join(this.#folders.run, 'ssh-key');
    await writeFile(key, `${(await readSecret(sshKeyFile)).trimEnd()}\n`, { mode: 0o600 });
    await chmod(key, 0o600);
    const options = [
      `UserKnownHostsFile=${knownHostsFile}`,
      'StrictHostKeyChecking=yes',
      'IdentitiesOnly=yes',
      'BatchMode=yes',
      'ConnectTimeout=10',
      'ServerAliveInterval=10',
    ];
    return ['ssh', '-F', 'none', '-i', key, ...options.map((each) => `-o ${each}`)].join(' ');
  }
}

/** Given to git by its environment: arguments are seen by everybody on the machine. */
const configuration = (settings: Readonly<Record<string, string>>): Record<string, string> => {
  const entries = Object.entries(settings);
  return {
    GIT_CONFIG_COUNT: String(entries.length),
    ...Object.fromEntries(
      entries.flatMap(([key, value], index) => [
        [`GIT_CONFIG_KEY_${index}`, key],
        [`GIT_CONFIG_VALUE_${index}`, value],
      ]),
    ),
  };
};

/** A Docker secret's file. */
export async function readSecret(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    const text = `the secret ${path} cannot be read: ${messageOf(error)}; is it among the operator service's secrets?`;
    throw new OperatingError('transient', 'GitSecretMissing', text);
  }
}
