/** The docker command line, against one daemon. */
import { attempt, passThrough, run, type Result, type RunOptions } from './shell';

/** A daemon: an address, or null for the one that the environment names. */
export interface Docker {
  readonly host: string | null;
}

/** Runs `docker ARGS` on a daemon and returns what it printed; a failure is an error. */
export function docker(
  daemon: Docker,
  args: readonly string[],
  options: RunOptions = {},
): Promise<string> {
  return run(['docker', ...args], { ...options, env: dockerEnv(daemon, options.env) });
}

/** Runs `docker ARGS` on a daemon, whatever its exit code. */
export function tryDocker(
  daemon: Docker,
  args: readonly string[],
  options: RunOptions = {},
): Promise<Result> {
  return attempt(['docker', ...args], { ...options, env: dockerEnv(daemon, options.env) });
}

/** Runs `docker ARGS` on this terminal. */
export function showDocker(daemon: Docker, args: readonly string[]): Promise<number> {
  return passThrough(['docker', ...args], { env: dockerEnv(daemon) });
}

/** The environment in which the docker command talks to this daemon and no other. */
export function dockerEnv(
  daemon: Docker,
  base: NodeJS.ProcessEnv = process.env,
): NodeJS.ProcessEnv {
  if (daemon.host === null) return base;
  const env: NodeJS.ProcessEnv = { ...base, DOCKER_HOST: daemon.host };
  delete env['DOCKER_CONTEXT'];
  delete env['DOCKER_TLS_VERIFY'];
  delete env['DOCKER_TLS'];
  return env;
}
