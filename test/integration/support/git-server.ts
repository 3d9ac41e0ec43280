/** Git servers as people run them, each started by the test, and a colleague who pushes. */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer as createHttpServer, type IncomingMessage, type Server } from 'node:http';
import { connect, type AddressInfo } from 'node:net';
import { dirname, join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { freePort } from './instance-process';

const ENVIRONMENT = {
  ...process.env,
  GIT_CONFIG_NOSYSTEM: '1',
  GIT_CONFIG_GLOBAL: '/dev/null',
  GIT_AUTHOR_NAME: 'Jane Doe',
  GIT_AUTHOR_EMAIL: 'jane@example.com',
  GIT_COMMITTER_NAME: 'Jane Doe',
  GIT_COMMITTER_EMAIL: 'jane@example.com',
};

export function git(folder: string, ...args: readonly string[]): string {
  const result = spawnSync('git', ['-C', folder, ...args], { env: ENVIRONMENT, encoding: 'utf8' });
  if (result.status !== 0) throw new Error(`git ${args.join(' ')}: ${result.stderr}`);
  return result.stdout.trim();
}

/** A bare repository, with what a server may be asked for. */
export function makeRepository(path: string): void {
  mkdirSync(path, { recursive: true });
  git(path, 'init', '-q', '--bare', '--initial-branch=main');
  git(path, 'config', 'uploadpack.allowFilter', 'true');
  git(path, 'config', 'http.receivepack', 'true');
  git(path, 'config', 'receive.autogc', 'false');
}

/** Somebody who works on the repository from elsewhere. */
export class Colleague {
  readonly folder: string;

  constructor(repository: string, folder: string) {
    this.folder = folder;
    mkdirSync(folder, { recursive: true });
    git(folder, 'init', '-q', '--initial-branch=main');
    git(folder, 'remote', 'add', 'origin', repository);
    // It would still tidy up while the test takes the folder away.
    git(folder, 'config', 'gc.auto', '0');
  }

  write(path: string, content: string | Buffer): this {
    mkdirSync(dirname(join(this.folder, path)), { recursive: true });
    writeFileSync(join(this.folder, path), content);
    return this;
  }

  remove(path: string): this {
    rmSync(join(this.folder, path));
    return this;
  }

  /** Commits everything and pushes it; the commit's id. */
  push(message: string, ...more: readonly string[]): string {
    git(this.folder, 'add', '-A');
    git(this.folder, 'commit', '-q', '--allow-empty', '-m', message);
    git(this.folder, 'push', '-q', ...more, 'origin', 'HEAD:main');
    return git(this.folder, 'rev-parse', 'HEAD');
  }

  pull(): this {
    git(this.folder, 'fetch', '-q', 'origin', 'main');
    git(this.folder, 'reset', '-q', '--hard', 'FETCH_HEAD');
    return this;
  }
}

export interface GitServer {
  readonly url: string;
  stop(): Promise<void>;
}

/** `git daemon`, which lets everybody push. */
export async function startDaemon(
  base: string,
  { host = '127.0.0.1', port }: { readonly host?: string; readonly port?: number } = {},
): Promise<GitServer> {
  const own = port ?? (await freePort());
  const args = ['daemon', '--reuseaddr', '--export-all', '--enable=receive-pack'];
  const listen = [`--base-path=${base}`, `--listen=${host}`, `--port=${own}`, base];
  const child = spawn('git', [...args, ...listen], {
    env: ENVIRONMENT,
    stdio: 'ignore',
    detached: true,
  });
  await untilItListens(own, host);
  return { url: `git://${host}:${own}`, stop: () => endGroup(child) };
}

async function untilItListens(port: number, host: string): Promise<void> {
  for (let attempt = 0; attempt < 300; attempt += 1) {
    const isOpen = await new Promise<boolean>((resolve) => {
      const socket = connect(port, host);
      socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
      socket.once('connect', () => socket.destroy());
    });
    if (isOpen) return;
    await pause(50);
  }
  throw new Error(`nothing listens on port ${port}`);
}

async function endGroup(child: ChildProcess): Promise<void> {
  const ended = new Promise((resolve) => child.once('exit', resolve));
  if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
  await ended;
}

/** `git http-backend`, as behind any web server; only with the token. */
export async function startHttp(base: string, token: string): Promise<GitServer> {
  const server: Server = createHttpServer((request, response) => {
    const [, basic = ''] = (request.headers.authorization ?? '').split('Basic ');
    const [, password] = Buffer.from(basic, 'base64').toString().split(':');
    if (password !== token) {
      response.writeHead(401, { 'www-authenticate': 'Basic realm="git"' }).end();
      return;
    }
    const child = spawn('git', ['http-backend'], { env: cgi(base, request) });
    request.pipe(child.stdin);
    let head = Buffer.alloc(0);
    let isBody = false;
    child.stdout.on('data', (part: Buffer) => {
      if (isBody) return void response.write(part);
      head = Buffer.concat([head, part]);
      const end = head.indexOf('\r\n\r\n');
      if (end === -1) return;
      isBody = true;
      for (const line of head.toString('latin1', 0, end).split('\r\n')) {
        const [name = '', value = ''] = line.split(': ');
        if (name === 'Status') response.statusCode = parseInt(value, 10);
        else response.setHeader(name, value);
      }
      response.write(head.subarray(end + 4));
    });
    child.on('close', () => response.end());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const stop = async (): Promise<void> => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  };
  return { url: `http://127.0.0.1:${port}`, stop };
}

function cgi(base: string, request: IncomingMessage): NodeJS.ProcessEnv {
  const [path = '', query = ''] = (request.url ?? '').split('?');
  const { 'content-encoding': encoding, 'git-protocol': protocol } = request.headers;
  return {
    ...ENVIRONMENT,
    GIT_PROJECT_ROOT: base,
    GIT_HTTP_EXPORT_ALL: '1',
    REMOTE_USER: 'jane',
    PATH_INFO: path,
    QUERY_STRING: query,
    REQUEST_METHOD: request.method ?? 'GET',
    CONTENT_TYPE: request.headers['content-type'] ?? '',
    ...(encoding === undefined ? {} : { HTTP_CONTENT_ENCODING: encoding }),
    ...(typeof protocol === 'string' ? { GIT_PROTOCOL: protocol } : {}),
  };
}
