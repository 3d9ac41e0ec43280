/** `pgswarm events`: the timeline of decisions, from the operators' volumes and the cluster's record. */
import { keyOfEntry, type HistoryEntry } from '../../core/history';
import { formatDuration } from '../../core/quantities';
import { readSpec } from '../cluster';
import { DONE, type ExitCode } from '../exit';
import { historyOf } from '../history';
import { fold, serialised, type Format, type Paint } from '../output';
import { type CliPorts } from '../ports';

/** So long ago, or a moment. */
export type Since = { readonly agoMs: number } | { readonly at: string };

export interface EventsOptions {
  readonly number?: number;
  readonly since?: Since;
  readonly watch?: boolean;
  readonly long?: boolean;
  readonly output?: Format;
}

const NUMBER = 20;
/** Time between two looks of `--watch`. */
const WATCH_EVERY_MS = 2_000;

export async function run(
  ports: CliPorts,
  cluster: string,
  options: EventsOptions,
): Promise<ExitCode> {
  const { output, clock, connect } = ports;
  await readSpec(connect().store, cluster);
  const shown = new Set<string>();
  let since = sinceText(options.since, ports.now());
  let entries = newest(await look(ports, cluster, since), options);
  if (entries.length === 0) output.note(nothing(cluster, options.since !== undefined));
  for (;;) {
    const news = entries.filter((entry) => !shown.has(keyOfEntry(entry)));
    for (const entry of news) shown.add(keyOfEntry(entry));
    show(ports, news, options);
    if (options.watch !== true || !(await clock.pause(WATCH_EVERY_MS))) return DONE;
    since = entries.at(-1)?.at ?? since;
    entries = await look(ports, cluster, since);
  }
}

const nothing = (cluster: string, isBounded: boolean): string =>
  `Nothing has happened to ${cluster} ${isBounded ? 'since then' : 'yet'}.`;

function sinceText(since: Since | undefined, now: Date): string | null {
  if (since === undefined) return null;
  return 'at' in since ? since.at : new Date(now.getTime() - since.agoMs).toISOString();
}

/** With a time all of it, unless a number is named, too. */
function newest(
  entries: readonly HistoryEntry[],
  { number, since }: EventsOptions,
): readonly HistoryEntry[] {
  const count = number ?? (since === undefined ? NUMBER : entries.length);
  return count === 0 ? [] : entries.slice(-count);
}

async function look(
  ports: CliPorts,
  cluster: string,
  since: string | null,
): Promise<readonly HistoryEntry[]> {
  const { entries, silence } = await historyOf(ports, cluster, since);
  if (silence !== null) ports.output.note(`Only what Swarm’s store still has: ${silence}`);
  return entries;
}

function show(
  { output }: CliPorts,
  entries: readonly HistoryEntry[],
  { output: format, watch, long }: EventsOptions,
): void {
  if (format === undefined) {
    for (const entry of entries) output.print(entryText(entry, long === true, output.paint));
  } else if (watch !== true) output.print(serialised(entries, format));
  // A list that goes on has no end: each entry for itself.
  else {
    for (const entry of entries) {
      output.print(format === 'json' ? JSON.stringify(entry) : serialised([entry], format));
    }
  }
}

function entryText(entry: HistoryEntry, isLong: boolean, paint: Paint): string {
  const { at, term, rule, message, durationMs, generation, appliedBy, evidence } = entry;
  const head = `${paint('dim', at)}  term ${term}  ${paint('dim', `[${rule}]`)}`;
  const facts = [
    ...(generation === undefined ? [] : [`generation ${generation} (${appliedBy ?? 'unknown'})`]),
    ...(durationMs === undefined ? [] : [`done in ${formatDuration(durationMs)}`]),
  ].join(', ');
  const details = isLong ? [facts, ...(evidence ?? [])].filter((line) => line !== '') : [];
  return [head, fold(message, 2), ...details.map((line) => paint('dim', fold(line, 4)))].join('\n');
}
