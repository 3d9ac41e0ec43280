/** Finds the word that was probably meant. */

/** Words longer than this are not compared: no field or parameter is that long. */
const WORD_LENGTH_MAX = 80;

/** Number of insertions, deletions, replacements and swaps of neighbours between two words. */
export function editDistance(a: string, b: string): number {
  const rows: number[][] = [Array.from({ length: b.length + 1 }, (_, column) => column)];
  const at = (row: number, column: number) => rows[row]?.[column] ?? Infinity;
  for (let row = 1; row <= a.length; row += 1) {
    const current = [row];
    rows.push(current);
    for (let column = 1; column <= b.length; column += 1) {
      const differs = a[row - 1] === b[column - 1] ? 0 : 1;
      const isSwap = a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1];
      current[column] = Math.min(
        at(row - 1, column - 1) + differs,
        at(row - 1, column) + 1,
        at(row, column - 1) + 1,
        isSwap ? at(row - 2, column - 2) + 1 : Infinity,
      );
    }
  }
  return at(a.length, b.length);
}

/** The known word that is nearest, when it is near enough to be what was meant; else null. */
export function nearest(word: string, known: readonly string[]): string | null {
  if (word.length > WORD_LENGTH_MAX) return null;
  const plain = (text: string) => text.toLowerCase().replaceAll(/[-_]/g, '');
  const bound = Math.min(3, Math.max(1, Math.floor(word.length / 3)));
  let best: { readonly text: string; readonly distance: number } | null = null;
  for (const text of known) {
    const distance = editDistance(plain(word), plain(text));
    if (distance <= bound && (best === null || distance < best.distance)) best = { text, distance };
  }
  return best?.text ?? null;
}
