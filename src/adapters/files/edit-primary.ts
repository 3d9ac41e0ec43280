/**
 * Changes the declared primary in a file and nothing else: comments, order and spelling stay as
 * the people who wrote it want them. The text is edited where the name stands; whether that was the
 * right place is asked of the parser, and in doubt nothing is changed.
 */
import { isDeepStrictEqual } from 'node:util';
import { parseDocument } from './documents';

export type Edited =
  | { readonly kind: 'edited'; readonly text: string }
  | { readonly kind: 'refused'; readonly because: string };

/** `primary: pg1`, in a line of its own or between braces, quoted or not. */
const PRIMARY =
  /(?<before>(?:^|[\s{,])(?:primary|"primary"|'primary')[ \t]*:[ \t]+)(?<quote>["']?)(?<name>[a-z0-9-]+)\k<quote>(?=[\s,}]|$)/gm;

export function editPrimary(text: string, from: string, to: string): Edited {
  const before = parseDocument(text, 'file').document;
  const wanted = withPrimary(before, from, to);
  if (wanted === null) return refused(`spec.primary is not ${from} in it`);
  const edits = [...text.matchAll(PRIMARY)]
    .filter(({ groups }) => groups?.['name'] === from)
    .map(({ index, groups }) => {
      const start = index + (groups?.['before']?.length ?? 0) + (groups?.['quote']?.length ?? 0);
      return `${text.slice(0, start)}${to}${text.slice(start + from.length)}`;
    })
    .filter((edited) => isDeepStrictEqual(parseDocument(edited, 'file').document, wanted));
  const [only, ...others] = edits;
  if (only !== undefined && others.length === 0) return { kind: 'edited', text: only };
  return refused('the line `primary:` is not written so that it can be changed by itself');
}

const refused = (because: string): Edited => ({ kind: 'refused', because });

/** The document as it is to be; null when it does not declare `from`. */
function withPrimary(document: unknown, from: string, to: string): unknown {
  const spec = (document as { readonly spec?: { readonly primary?: unknown } } | undefined)?.spec;
  if (spec?.primary !== from) return null;
  return { ...(document as object), spec: { ...spec, primary: to } };
}
