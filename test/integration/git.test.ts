/** The operator's side of Git against real servers: what is pushed becomes the spec, or is refused. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createHmac } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import { type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { expect } from 'chai';
import { createLogger, transports } from 'winston';
import { answerOf } from '../../src/adapters/control/json-http';
import { createWebhookServer } from '../../src/adapters/git/webhook';
import { type GitSettings } from '../../src/core/git/settings';
import { specRecordName, stateRecordName } from '../../src/core/names';
import { type SpecRecord } from '../../src/core/spec';
import { type ClusterState, initialState } from '../../src/core/state';
import { type SourceTrouble } from '../../src/core/status';
import { acceptSpec } from '../../src/operator/accept-spec';
import { type GitFollower } from '../../src/operator/git-follower';
import { followGit } from '../../src/operator/git-source';
import { MemoryStore } from '../support/memory-store';
import {
  Colleague,
  git,
  makeRepository,
  startDaemon,
  startHttp,
  type GitServer,
} from './support/git-server';

const file = (primary: string, more = ''): string => `# Who changes this, tells the team.
apiVersion: pgswarm.dev/v1
kind: PostgresCluster
metadata: { name: orders }
spec:
  postgres: { version: 17 }
  network: { subnet: 10.0.200.0/24 }
  primary: ${primary}   # moved by hand on Mondays
  servers:
    - { name: pg1, node: { hostname: n1 }, port: 5432 }
    - { name: pg2, node: { hostname: n2 }, port: 5432 }
${more}`;

/** Another cluster, on a network and ports of its own. */
const other = (name: string, number: number, primary = 'pg1', more = ''): string =>
  file(primary, more)
    .replace('orders', name)
    .replace('.200.', `.20${number}.`)
    .replaceAll('5432', `543${number + 2}`);

const ADOPT = '  failover: { mode: automatic, failback: adopt }\n';

describe('following a Git repository', function () {
  this.timeout(60_000);
  let folder: string;
  let bare: string;
  let server: GitServer;
  let jane: Colleague;
  let world: World;

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'pgswarm-git-'));
    bare = join(folder, 'served/fleet.git');
    makeRepository(bare);
    server = await startDaemon(join(folder, 'served'));
    jane = new Colleague(bare, join(folder, 'jane'));
    world = new World(folder, `${server.url}/fleet.git`);
  });

  afterEach(async () => {
    world.close();
    await server.stop();
    rmSync(folder, { recursive: true, force: true, maxRetries: 10 });
  });

  it('applies what is pushed, and names commit, author and time', async () => {
    jane.write('clusters/orders.yaml', file('pg1')).push('Begin');
    world.follow();
    await world.until(async () => (await world.spec())?.generation === 1);
    const id = jane.write('clusters/orders.yaml', file('pg2')).push('Move the primary');
    await world.until(async () => (await world.spec())?.spec.primary === 'pg2');
    const { source, followed } = (await world.spec())!;
    expect(source).to.deep.include({ kind: 'git', path: 'clusters/orders.yaml' });
    expect(followed?.commit).to.include({ id, author: 'Jane Doe', subject: 'Move the primary' });
    expect(Date.parse(followed!.commit.at)).to.be.closeTo(Date.now(), 60_000);
    await world.untilNoted(
      'git-commit',
      new RegExp(`generation 2: commit ${id.slice(0, 7)} by Jane Doe`),
    );
  });

  it('takes a push as soon as the webhook says so, and nothing of a wrong one', async () => {
    jane.write('orders.yaml', file('pg1')).push('Begin');
    world.follow({ pollMs: 600_000 });
    await world.until(async () => (await world.spec())?.generation === 1);
    const hook = createWebhookServer({
      secret: () => Promise.resolve('a long secret'),
      pushed: () => {
        world.look();
        return Promise.resolve(answerOf({}));
      },
      refused: () => undefined,
      log: createLogger({ silent: true }),
    });
    await new Promise<void>((resolve) => hook.listen(0, '127.0.0.1', resolve));
    const post = async (secret: string): Promise<number> => {
      const body = JSON.stringify({ ref: 'refs/heads/main' });
      const signature = createHmac('sha256', secret).update(body).digest('hex');
      const url = `http://127.0.0.1:${(hook.address() as AddressInfo).port}/webhook`;
      const headers = { 'x-hub-signature-256': `sha256=${signature}` };
      return (await fetch(url, { method: 'POST', headers, body })).status;
    };
    try {
      jane.write('orders.yaml', file('pg2')).push('Move');
      expect(await post('another secret')).to.equal(401);
      const startedMs = performance.now();
      expect(await post('a long secret')).to.equal(202);
      await world.until(async () => (await world.spec())?.generation === 2);
      // The next poll is far away; how long it takes on an idle machine is 0.3 s.
      expect(performance.now() - startedMs).to.be.lessThan(10_000);
    } finally {
      hook.closeAllConnections();
      await new Promise((resolve) => hook.close(resolve));
    }
  });

  it('refuses a bad commit with all its findings; the last good generation stays', async () => {
    jane.write('orders.yaml', file('pg1')).write('other.yaml', other('sales', 1)).push('Begin');
    world.follow();
    await world.until(async () => (await world.spec('sales'))?.generation === 1);
    const id = jane
      .write('orders.yaml', file('pg7', '  imag: x\n'))
      .write('other.yaml', other('sales', 1, 'pg2'))
      .push('Oops');
    await world.until(async () => (await world.spec('sales'))?.spec.primary === 'pg2');
    await world.untilRefused(/spec\.imag.*spec\.primary.*pg7/s);
    expect(world.refusals.get('orders')).to.include(id.slice(0, 7)).and.include('orders.yaml');
    expect((await world.spec())?.generation).to.equal(1);
    await world.untilNoted('git-refused', /pg7/);
    jane.write('orders.yaml', file('pg2')).push('Better');
    await world.until(async () => (await world.spec())?.generation === 2);
    await world.until(() => world.refusals.get('orders') === null);
  });

  it('follows a history that was written anew, and says so', async () => {
    jane.write('orders.yaml', file('pg1')).push('Begin');
    jane.write('orders.yaml', file('pg2')).push('Move');
    world.follow();
    await world.until(async () => (await world.spec())?.generation === 1);
    git(jane.folder, 'reset', '-q', '--hard', 'HEAD~1');
    await nextSecond();
    jane.write('orders.yaml', file('pg1', '  image: other:1\n')).push('Instead', '--force');
    await world.until(async () => (await world.spec())?.spec.image === 'other:1');
    await world.untilNoted('git-rewritten', /written anew/);
  });

  it('takes nothing from a branch that was set back, or from an old copy', async () => {
    jane.write('orders.yaml', file('pg1')).push('Begin');
    git(folder, 'clone', '-q', '--bare', bare, 'served/copy.git');
    await nextSecond();
    jane.write('orders.yaml', file('pg2')).push('Move');
    world.follow();
    await world.until(async () => (await world.spec())?.generation === 1);
    git(jane.folder, 'push', '-q', '--force', 'origin', 'HEAD~1:main');
    await world.untilTroubled('RepositoryOlder');
    expect((await world.spec())?.spec.primary).to.equal('pg2');
    // A new leader on a manager that has an old copy.
    world.follow({ repository: join(folder, 'served/copy.git') });
    await world.untilTroubled('RepositoryOlder', /git revert/);
    expect((await world.spec())?.spec.primary).to.equal('pg2');
  });

  it('goes on while the Git server is away, and catches up', async () => {
    jane.write('orders.yaml', file('pg1')).push('Begin');
    world.follow();
    await world.until(async () => (await world.spec())?.generation === 1);
    const port = Number(new URL(server.url).port);
    await server.stop();
    await world.untilTroubled('GitUnreachable', /refused/);
    jane.write('orders.yaml', file('pg2')).push('Move');
    server = await startDaemon(join(folder, 'served'), { port });
    await world.until(async () => (await world.spec())?.generation === 2);
    await world.until(() => world.troubles.get('orders') === null);
  });

  it('says that a repository was moved, or a branch is not there', async () => {
    jane.write('orders.yaml', file('pg1')).push('Begin');
    world.follow();
    await world.until(async () => (await world.spec())?.generation === 1);
    world.follow({ branch: 'production' });
    await world.untilTroubled('GitBranchMissing', /PGSWARM_GIT_BRANCH/);
    world.follow({ repository: `${server.url}/elsewhere.git` });
    await world.untilTroubled(/^Git(Denied|RepositoryMissing)$/, /elsewhere/);
    world.follow({ repository: join(folder, 'served/elsewhere.git') });
    await world.untilTroubled('GitRepositoryMissing', /PGSWARM_GIT_REPOSITORY/);
  });

  it('keeps a cluster whose file is gone, unless its spec says otherwise', async () => {
    jane
      .write('orders.yaml', file('pg1'))
      .write('sales.yaml', other('sales', 1, 'pg1', '  deletionPolicy: delete\n'))
      .write('third.yaml', other('third', 2))
      .push('Begin');
    world.follow();
    await world.until(async () => (await world.spec('third'))?.generation === 1);
    jane.remove('orders.yaml').remove('sales.yaml').push('Tidy up');
    await world.untilTroubled('Orphaned', /pgswarm delete orders/);
    expect((await world.spec())?.deletion).to.equal(null);
    await world.until(async () => (await world.spec('sales'))?.deletion?.removeVolumes === false);
    jane.write('orders.yaml', file('pg1')).push('Bring it back');
    await world.until(() => world.troubles.get('orders') === null);
  });

  it('destroys nothing when the whole path is empty', async () => {
    jane.write('orders.yaml', file('pg1', '  deletionPolicy: delete\n')).push('Begin');
    world.follow();
    await world.until(async () => (await world.spec())?.generation === 1);
    jane.remove('orders.yaml').push('Move everything elsewhere');
    await world.untilTroubled('PathEmpty');
    expect((await world.spec())?.deletion).to.equal(null);
  });

  it('says what is junk, and what is declared twice', async () => {
    jane
      .write('orders.yaml', file('pg1'))
      .write('photo.yaml', Buffer.from([0, 255, 254, 1]))
      .push('Begin');
    world.follow();
    await world.until(async () => (await world.spec())?.generation === 1);
    jane.write('orders.yaml', Buffer.from([0, 255, 254, 1])).push('Oops');
    await world.untilRefused(/not text in UTF-8/);
    jane.write('orders.yaml', file('pg2')).write('copy.yml', file('pg1')).push('Twice');
    await world.untilRefused(/copy\.yml and in orders\.yaml/);
    expect((await world.spec())?.generation).to.equal(1);
    jane.remove('copy.yml').push('Once');
    await world.until(async () => (await world.spec())?.spec.primary === 'pg2');
  });

  it('finds one cluster among 10,000 files, and only below its path', async () => {
    for (let index = 0; index < 10_000; index += 1) {
      jane.write(
        `apps/${index % 100}/${index}.yaml`,
        `kind: Deployment\nmetadata: { name: app${index} }\n`,
      );
    }
    jane
      .write('db/orders.yaml', file('pg1'))
      .write('elsewhere/sales.yaml', file('pg1').replace('orders', 'sales'))
      .push('Many');
    world.follow({ path: 'db' });
    await world.until(async () => (await world.spec())?.generation === 1);
    expect(await world.spec('sales')).to.equal(undefined);
    world.follow({ path: '' });
    // Both at once on the same network: one of them is taken.
    await world.until(async () => (await world.spec())?.followed?.path === 'db/orders.yaml');
    const delay = await longestDelay(() => world.untilTroubled('FileRefused', /sales\.yaml/));
    expect(delay).to.be.lessThan(2_000);
  });

  it('leaves alone what somebody has applied by hand, until the file changes', async () => {
    jane.write('orders.yaml', file('pg1')).push('Begin');
    world.follow();
    await world.until(async () => (await world.spec())?.generation === 1);
    await world.applyByHand({ primary: 'pg2' });
    jane.write('sales.yaml', other('sales', 1)).push('Another one');
    await world.until(async () => (await world.spec('sales')) !== undefined);
    expect((await world.spec())?.spec.primary).to.equal('pg2');
    jane.write('orders.yaml', file('pg1', '  image: other:1\n')).push('Change');
    await world.until(async () => (await world.spec())?.spec.image === 'other:1');
  });

  it('commits the new primary back: one line, on top of what others push meanwhile', async () => {
    jane.write('orders.yaml', file('pg1', ADOPT)).push('Begin');
    world.follow();
    await world.until(async () => (await world.spec())?.generation === 1);
    jane.write('notes.txt', 'A push at the same time').push('Note');
    await world.failOver('pg1', 'pg2');
    await world.until(async () => (await world.spec())?.spec.primary === 'pg2');
    jane.pull();
    expect(git(jane.folder, 'show', '--format=%an%n%s', '--unified=0', 'HEAD')).to.match(
      /^pgswarm\norders: pg2 is the primary\n[^]*\n- {2}primary: pg1 {3}# moved by hand on Mondays\n\+ {2}primary: pg2 {3}# moved by hand on Mondays$/,
    );
    expect(git(jane.folder, 'show', '--format=%b', '-s', 'HEAD')).to.match(/its lease was over/);
    expect(git(jane.folder, 'log', '--format=%s')).to.equal(
      'orders: pg2 is the primary\nNote\nBegin',
    );
    await world.untilNoted('git-adopt', /by pgswarm declares pg2 in orders\.yaml/);
  });

  it('does not touch a line that it is not sure of', async () => {
    const text = file('&p pg1', ADOPT).replace('{ name: pg1', '{ name: *p');
    jane.write('orders.yaml', text).push('Begin');
    world.follow();
    await world.until(async () => (await world.spec())?.generation === 1);
    await world.failOver('pg1', 'pg2');
    await world.untilTroubled('AdoptionRefused', /write it there yourself/);
    expect(git(bare, 'show', 'main:orders.yaml')).to.equal(text.trim());
  });

  it('reads over HTTP with the token, and is refused without', async () => {
    const http = await startHttp(join(folder, 'served'), 'hunter2');
    try {
      jane.write('orders.yaml', file('pg1', ADOPT)).push('Begin');
      const repository = `${http.url}/fleet.git`;
      world.follow({ repository, tokenFile: world.secret('token', 'hunter2\n') });
      await world.until(async () => (await world.spec())?.generation === 1);
      await world.failOver('pg1', 'pg2');
      await world.until(async () => (await world.spec())?.spec.primary === 'pg2');
      world.follow({ repository, tokenFile: world.secret('wrong', 'hunter3') });
      await world.untilTroubled('GitDenied', /token/);
      expect(world.troubles.get('orders')?.message).to.not.include('hunter');
    } finally {
      await http.stop();
    }
  });

  it('goes over SSH with the key and the known hosts of secrets, and no others', async () => {
    jane.write('orders.yaml', file('pg1')).push('Begin');
    // In the place of ssh: it notes how it was called, and runs what is asked for here.
    const bin = join(folder, 'bin');
    mkdirSync(bin);
    const script = `#!/bin/sh\nprintf '%s\\n' "$@" > ${folder}/called\nfor last; do :; done\nexec sh -c "$last"\n`;
    writeFileSync(join(bin, 'ssh'), script, { mode: 0o755 });
    const path = process.env['PATH'] ?? '';
    process.env['PATH'] = `${bin}:${path}`;
    try {
      world.follow({
        repository: `ssh://git@git.example.com${bare}`,
        sshKeyFile: world.secret('key', 'a key without an end of line'),
        knownHostsFile: '/run/secrets/known-hosts',
      });
      await world.until(async () => (await world.spec())?.generation === 1);
      const called = readFileSync(join(folder, 'called'), 'utf8').split('\n');
      expect(called).to.include.members(['git@git.example.com', 'StrictHostKeyChecking=yes']);
      expect(called).to.include.members(['UserKnownHostsFile=/run/secrets/known-hosts', 'none']);
      const key = called[called.indexOf('-i') + 1]!;
      expect(statSync(key).mode & 0o777).to.equal(0o600);
      expect(readFileSync(key, 'utf8')).to.equal('a key without an end of line\n');
    } finally {
      process.env['PATH'] = path;
    }
  });

  it('tells another program what became of a commit', async () => {
    const posted: { url: string; authorization: string | undefined; body: unknown }[] = [];
    const listener = await listen((url, authorization, body) =>
      posted.push({ url, authorization, body: JSON.parse(body) }),
    );
    try {
      const id = jane.write('orders.yaml', file('pg1')).push('Begin');
      const { port } = listener.address() as AddressInfo;
      world.follow({
        statusUrl: `http://127.0.0.1:${port}/statuses/{commit}`,
        statusHeaderFile: world.secret('header', 'Authorization: Bearer abc\n'),
      });
      await world.until(() => posted.length === 1);
      expect(posted[0]).to.include({ url: `/statuses/${id}`, authorization: 'Bearer abc' });
      expect(posted[0]?.body).to.include({ state: 'success', description: 'applied: orders' });
      jane.write('orders.yaml', file('pg7')).push('Oops');
      await world.until(() => posted.length === 2);
      expect(posted[1]?.body).to.include({ state: 'failure', description: 'refused: orders.yaml' });
    } finally {
      await new Promise((resolve) => listener.close(resolve));
    }
  });
});

/** A leader with a store, and what it shows. */
class World {
  readonly store = new MemoryStore();
  readonly troubles = new Map<string, SourceTrouble | null>();
  readonly refusals = new Map<string, string | null>();
  readonly #said: unknown[] = [];
  readonly log = createLogger({
    // eslint-disable-next-line @typescript-eslint/no-unsafe-class-instance-assignment -- winston types its transports in two ways
    transports: new transports.Stream({
      stream: new Writable({
        objectMode: true,
        write: (line, _, done) => {
          this.#said.push(line);
          done();
        },
      }),
    }),
  });
  readonly #folder: string;
  readonly #url: string;
  #follower: GitFollower | null = null;
  #count = 0;

  constructor(folder: string, url: string) {
    this.#folder = folder;
    this.#url = url;
  }

  /** Another leader each time: with nothing but the store of the one before. */
  follow(changes: Partial<GitSettings> = {}): void {
    this.#follower?.stop();
    this.troubles.clear();
    this.refusals.clear();
    this.#count += 1;
    const settings: GitSettings = {
      repository: this.#url,
      branch: 'main',
      path: '',
      pollMs: 100,
      tokenFile: null,
      sshKeyFile: null,
      knownHostsFile: null,
      webhook: null,
      statusUrl: null,
      statusHeaderFile: null,
      ...changes,
    };
    const own = join(this.#folder, `operator-${this.#count}`);
    this.#follower = followGit(
      { kind: 'settings', settings },
      {
        store: this.store,
        operator: {
          clusters: () => this.#clusters,
          specRecord: (cluster) => this.#specs.get(cluster) ?? null,
          refuseSpec: (cluster, message) => void this.refusals.set(cluster ?? '', message),
          troubleSource: (cluster, trouble) => void this.troubles.set(cluster, trouble),
          written: () => undefined,
        },
        log: this.log,
        clock: { now: () => new Date() },
        folders: { cache: join(own, 'cache'), run: join(own, 'run') },
      },
    );
    this.#follower?.start();
  }

  get #specs(): ReadonlyMap<string, SpecRecord> {
    return this.store.now<SpecRecord>(/^pgswarm\.(.+)\.spec$/);
  }

  get #clusters(): readonly string[] {
    return [...this.#specs.keys()];
  }

  look(): void {
    this.#follower?.look();
  }

  close(): void {
    this.#follower?.stop();
  }

  /** The file of a Docker secret. */
  secret(name: string, text: string): string {
    const path = join(this.#folder, name);
    writeFileSync(path, text);
    return path;
  }

  async spec(cluster = 'orders'): Promise<SpecRecord | undefined> {
    return (await this.store.read<SpecRecord>(specRecordName(cluster)))?.value;
  }

  /** As its controller does when it first sees the cluster. */
  async state(): Promise<ClusterState> {
    const name = stateRecordName('orders');
    const present = await this.store.read<ClusterState>(name);
    return (present ?? (await this.store.create(name, initialState('orders', 'uid', 1)))).value;
  }

  async failOver(from: string, to: string): Promise<void> {
    const state = await this.state();
    const record = (await this.store.read(stateRecordName('orders')))!;
    const override = {
      number: 1,
      declared: from,
      from,
      to,
      reason: 'its lease was over',
      at: '2026-01-01T00:00:00.000Z',
    };
    await this.store.update(record, { ...state, primary: to, override });
  }

  async applyByHand(changes: Partial<SpecRecord['spec']>): Promise<void> {
    const { spec, document } = (await this.spec())!;
    const source = { kind: 'apply', by: 'jane' } as const;
    const now = new Date().toISOString();
    await acceptSpec(this.store, {
      spec: { ...spec, ...changes },
      document,
      source,
      digest: null,
      now,
    });
  }

  async until(isReached: () => Promise<boolean> | boolean): Promise<void> {
    const deadlineMs = performance.now() + PATIENCE_MS;
    while (!(await isReached())) {
      if (performance.now() > deadlineMs) throw new Error(`never reached: ${this.#shown()}`);
      await this.state();
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }

  #shown(): string {
    const specs = [...this.#specs].map(([name, { generation }]) => [name, generation]);
    return JSON.stringify([specs, [...this.troubles], [...this.refusals], this.#said], null, 1);
  }

  untilTroubled(reason: string | RegExp, message = /./): Promise<void> {
    const isReason = (word: string): boolean =>
      typeof reason === 'string' ? word === reason : reason.test(word);
    return this.until(() => {
      const trouble = this.troubles.get('orders');
      return trouble != null && isReason(trouble.reason) && message.test(trouble.message);
    });
  }

  untilRefused(message: RegExp): Promise<void> {
    return this.until(() => message.test(this.refusals.get('orders') ?? ''));
  }

  untilNoted(rule: string, message: RegExp): Promise<void> {
    return this.until(async () =>
      (await this.state()).events.some((each) => each.rule === rule && message.test(each.message)),
    );
  }
}

/** A slow machine has so long for what takes a moment. */
const PATIENCE_MS = 60_000;

/** Git's times are whole seconds. */
async function nextSecond(): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, 1_001 - (Date.now() % 1_000)));
}

/** For how long nothing else could be done meanwhile, in ms. */
async function longestDelay(what: () => Promise<unknown>): Promise<number> {
  let longest = 0;
  let last = performance.now();
  const timer = setInterval(() => {
    const now = performance.now();
    longest = Math.max(longest, now - last - 10);
    last = now;
  }, 10);
  try {
    await what();
  } finally {
    clearInterval(timer);
  }
  return longest;
}

async function listen(
  heard: (url: string, authorization: string | undefined, body: string) => void,
): Promise<Server> {
  const server = createServer((request, response) => {
    const parts: Buffer[] = [];
    request.on('data', (part: Buffer) => parts.push(part));
    request.on('end', () => {
      heard(request.url ?? '', request.headers.authorization, Buffer.concat(parts).toString());
      response.end('{}');
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return server;
}
