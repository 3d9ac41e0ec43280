/** The ledger of what failovers have lost, for people. */
import { type Divergence } from '../core/protocol';
import { type Loss } from '../core/state';
import { type Status } from '../core/status';
import { ago, sizeText } from './quantity-text';

/** Those before them are in `-o json`. */
const LINES_MAX = 3;

/** One line for each loss, newest last. */
export function ledgerLines({ cluster, losses }: Status, now: Date): readonly string[] {
  const earlier = losses.length - LINES_MAX;
  const before = earlier > 0 ? [`and ${earlier} earlier: pgswarm status ${cluster} -o json`] : [];
  return [...losses.slice(-LINES_MAX).map((loss) => lossText(loss, now)), ...before];
}

function lossText({ term, server, at, estimatedBytes, measured }: Loss, now: Date): string {
  const when = `lost in term ${term}, ${ago(at, now)} ago`;
  if (measured !== null) return `${when}: ${measuredText(server, measured)}`;
  const size = estimatedBytes === null ? 'an unknown amount' : `about ${sizeText(estimatedBytes)}`;
  return `${when}: ${size}, ${server} has not come back`;
}

function measuredText(server: string, loss: Divergence): string {
  const { transactions, bytes, fromLsn, toLsn, keptIn } = loss;
  const count =
    transactions === 0
      ? 'no transaction'
      : `${transactions} transaction${transactions === 1 ? '' : 's'}`;
  return `${count}, ${sizeText(bytes)} (${fromLsn}..${toLsn}), kept in ${keptIn} on ${server}`;
}
