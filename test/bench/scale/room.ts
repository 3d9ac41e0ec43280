/**
 * The operator's paths and ports are fixed, so it gets a machine of its own: mounts and a network
 * that nobody else sees and that end with the benchmark (`unshare` of util-linux; needs root).
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { OPERATOR_SERVICE, OPERATOR_SOCKET, ROOT_KEY_FILE } from '../../../src/core/names';

const HOSTS = '/run/hosts';
/** The mounts of whoever started the program that was started again. */
const OUTSIDE = 'PGSWARM_BENCH_OUTSIDE';

/** Runs this program again, alone, and returns its status; null when that has been done already. */
export function runAlone(): number | null {
  if (process.getuid?.() !== 0) throw new Error('needs root, for mounts and a network of its own');
  const [outside, here] = [process.env[OUTSIDE], readlinkSync('/proc/self/ns/mnt')];
  if (outside !== undefined && outside !== here) return null;
  const again = [...process.execArgv, ...process.argv.slice(1)];
  const alone = ['--mount', '--net', '--', process.execPath, ...again];
  const env = { ...process.env, [OUTSIDE]: here };
  return spawnSync('unshare', alone, { stdio: 'inherit', env }).status ?? 1;
}

/** What Swarm would have put into the operator's container. */
export function furnish(rootKey: Buffer): void {
  execFileSync('ip', ['link', 'set', 'lo', 'up']);
  execFileSync('mount', ['-t', 'tmpfs', 'tmpfs', '/run']);
  mkdirSync(dirname(ROOT_KEY_FILE), { recursive: true });
  mkdirSync(dirname(OPERATOR_SOCKET), { recursive: true });
  writeFileSync(ROOT_KEY_FILE, rootKey.toString('hex'));
  const hosts = readFileSync('/etc/hosts', 'utf8');
  writeFileSync(HOSTS, `${hosts}\n127.0.0.1 tasks.${OPERATOR_SERVICE}\n`);
  execFileSync('mount', ['--bind', HOSTS, '/etc/hosts']);
}
