/** `pgswarm status`: roles, lag, term, what is not as it should be, and the last change. */
import { clusterNames, loadCluster } from '../cluster';
import { DONE, type ExitCode } from '../exit';
import { serialised, type Format } from '../output';
import { type CliPorts } from '../ports';
import { statusLines, statusText, type StatusView } from '../status-text';

export interface StatusOptions {
  readonly output?: Format;
  readonly watch?: boolean;
}

/** Time between two looks of `--watch`. */
const WATCH_EVERY_MS = 2_000;

export async function run(
  ports: CliPorts,
  cluster: string | undefined,
  options: StatusOptions,
): Promise<ExitCode> {
  let shown: string | null = null;
  for (;;) {
    const text = await look(ports, cluster, options.output ?? null);
    if (options.watch !== true) ports.output.print(text);
    else if (ports.output.isTerminal) ports.output.redraw(text);
    else if (text !== shown) ports.output.print(text);
    shown = text;
    if (options.watch !== true || !(await ports.clock.pause(WATCH_EVERY_MS))) return DONE;
  }
}

async function look(
  ports: CliPorts,
  cluster: string | undefined,
  format: Format | null,
): Promise<string> {
  if (cluster !== undefined) {
    const view = await loadCluster(ports, cluster);
    return format === null ? textOf(ports, view) : serialised(view.status, format);
  }
  const names = await clusterNames(ports.connect().store);
  const views = await Promise.all(names.map((name) => loadCluster(ports, name)));
  const statuses = views.map(({ status }) => status);
  if (format !== null) return serialised(statuses, format);
  const [only, ...others] = views;
  if (only === undefined) return 'There is no cluster yet: pgswarm apply -f FILE makes one.';
  if (others.length === 0) return textOf(ports, only);
  const silence = only.silence === null ? '' : `\n\n${only.silence}`;
  return statusLines(statuses, ports.output.paint) + silence;
}

const textOf = ({ output, now }: CliPorts, view: StatusView): string =>
  statusText(view, now(), output.paint);
