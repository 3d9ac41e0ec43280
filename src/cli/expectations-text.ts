/** What a spec promises, for people: a small table and three sentences. */
import { type Expectations, type Fault } from '../core/expectations';
import { type View } from '../core/situation';
import { fold, table, type Paint } from './output';

const FAULTS: Readonly<Record<Fault, string>> = {
  container: 'its container dies',
  node: 'its node is lost',
  operatorLeader: '… that led the operators',
  swarmLeader: '… that led the Swarm',
};

/** Explained in docs/reference/expectations.md. */
export function expectationsText(expected: Expectations, paint: Paint): string {
  const { outages, caveat, loss, wal, archive } = expected;
  const rows = outages.map(({ fault, bestMs, typicalMs, worstMs }) => [
    FAULTS[fault],
    ...[bestMs, typicalMs, worstMs].map(secondsText),
  ]);
  const lost = loss.bytesMax === 0 ? `nothing: ${loss.because}` : loss.because;
  return [
    paint('strong', 'What to expect of it'),
    ...(rows.length === 0
      ? []
      : [indented(table(['NO WRITES WHEN', 'BEST', 'TYPICAL', 'WORST'], rows))]),
    ...[
      ...(caveat === null ? [] : [`failover: ${caveat}`]),
      `lost by a failover: ${lost}`,
      `WAL on each data volume: ${wal.because}`,
      `on each archive volume: ${archive.because}`,
    ].map((line) => `  ${fold(line, 4).trimStart()}`),
  ].join('\n');
}

const indented = (text: string): string => text.replaceAll(/^/gm, '  ');

/** `0.4 s`, `17 s`. */
export function secondsText(ms: number): string {
  return `${ms < 10_000 ? (ms / 1000).toFixed(1) : Math.round(ms / 1000)} s`;
}

/** Of the data volumes that report, the size of the smallest. */
export function smallestDataVolume({ servers }: View): number | null {
  const sizes = servers.flatMap(({ report }) => report?.dataVolume?.sizeBytes ?? []);
  return sizes.length === 0 ? null : Math.min(...sizes);
}
