/** What a promotion would lose, as far as anybody knows: said before a person accepts it. */
import { knownEnd, receivedBy } from '../core/candidates';
import { lagBytes, type Lsn } from '../core/lsn';
import { type ServerView, type View } from '../core/situation';
import { refusal } from './exit';
import { ago, sizeText } from './quantity-text';

/** In sentences, one each; refuses when the server's own position is not known. */
export function expectedLoss(view: View, target: ServerView): readonly string[] {
  const received = receivedBy(target);
  const primary = view.state.primary ?? 'the primary';
  if (received === null) {
    const sentence = `How far ${target.name} has got is not known, so the loss cannot be named: it does not answer as a standby. See: pgswarm why ${view.spec.cluster}`;
    throw refusal('PositionUnknown', sentence);
  }
  const known = knownEnd(view);
  return [
    `${target.name} has the WAL up to ${received}.`,
    known === null
      ? `How far ${primary} had got is not known to anybody: the loss may be of any size.`
      : `${primary} is known to have reached ${known}, which is ${behindText(known, received)}.`,
    `${heardText(view, primary)} What it has written since is not known.`,
    ...guaranteeOf(view, target.name),
    `All that ${target.name} has not is lost to the cluster. What ${primary} still holds of it is put aside when it comes back, and shown by pgswarm status.`,
  ];
}

function behindText(known: Lsn, received: Lsn): string {
  const bytes = lagBytes(known, received);
  return bytes === 0 ? 'no more than that' : `${sizeText(bytes)} more`;
}

function heardText({ primary, nowMs, situation }: View, name: string): string {
  if (primary?.lastSeenMs == null) return `The operator’s leader has not heard ${name} at all.`;
  const since = new Date(Date.parse(situation.now) - (nowMs - primary.lastSeenMs)).toISOString();
  return `${name} was last heard ${ago(since, new Date(situation.now))} ago.`;
}

/** With synchronous replication a server may be known to have everything that matters. */
function guaranteeOf({ state }: View, server: string): readonly string[] {
  const set = state.sync.guaranteed;
  if (set === null) return [];
  const hasAll = set.names.includes(server) && set.number === set.names.length;
  return hasAll
    ? [`Every commit that a client was told of is on ${server}.`]
    : [
        `Clients were told of commits as soon as ${set.number} of ${set.names.join(', ')} had them: some may be missing on ${server}.`,
      ];
}
