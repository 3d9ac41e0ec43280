/** `pgswarm logs`: what the servers log, through the manager, wherever they run. */
import { serviceName } from '../../core/names';
import { type Spec } from '../../core/spec';
import { readSpec } from '../cluster';
import { DONE, type ExitCode } from '../exit';
import { readableLine } from '../log-lines';
import { followLog } from '../log-stream';
import { type CliPorts } from '../ports';
import { serverNamed } from '../servers';

export interface LogsOptions {
  readonly follow?: boolean;
  readonly tail: number;
}

export async function run(
  ports: CliPorts,
  cluster: string,
  server: string | undefined,
  options: LogsOptions,
): Promise<ExitCode> {
  const { spec } = (await readSpec(ports.connect().store, cluster)).value;
  const servers = server === undefined ? spec.servers : [serverNamed(spec, server)];
  const width = Math.max(...servers.map(({ name }) => name.length));
  const show = (name: string): Promise<void> =>
    showLog(ports, spec, { name, label: servers.length > 1 ? name.padEnd(width) : null, options });
  await Promise.all(servers.map(({ name }) => show(name)));
  return DONE;
}

interface Shown {
  readonly name: string;
  /** Before each line, when there are several servers. */
  readonly label: string | null;
  readonly options: LogsOptions;
}

async function showLog(
  ports: CliPorts,
  { cluster }: Spec,
  { name, label, options }: Shown,
): Promise<void> {
  const { output } = ports;
  const { paint, isTerminal } = output;
  // Elsewhere a line stays the JSON that it is; it names its server itself.
  const prefix = label === null || !isTerminal ? '' : `${paint('strong', label)}  `;
  const isFollowed = options.follow === true;
  const service = serviceName(cluster, name);
  await followLog(ports, service, { isFollowed, tail: options.tail }, (line) => {
    output.print(prefix + (isTerminal ? readableLine(line, paint) : line));
  });
}
