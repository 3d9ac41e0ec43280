/** What is wrong or questionable in what the user wrote: always where, what, and what to do. */
export interface Finding {
  /** Where in the document, `spec.servers[1].port`; or the file, with line and column. */
  readonly path: string;
  /** With an error nothing of the document is used; a warning only wants to be read. */
  readonly severity: 'error' | 'warning';
  /** A sentence: what is wrong. */
  readonly message: string;
  /** What to do. */
  readonly hint: string;
}

export const errorAt = (path: string, message: string, hint: string): Finding => ({
  path,
  severity: 'error',
  message,
  hint,
});

export const warningAt = (path: string, message: string, hint: string): Finding => ({
  path,
  severity: 'warning',
  message,
  hint,
});

export const hasErrors = (findings: readonly Finding[]): boolean =>
  findings.some((finding) => finding.severity === 'error');

/** Errors first, then in the order of their paths; the same finding is never said twice. */
export function sortFindings(findings: readonly Finding[]): Finding[] {
  const rank = { error: 0, warning: 1 };
  const seen = new Set<string>();
  return [...findings]
    .sort(
      (a, b) =>
        rank[a.severity] - rank[b.severity] ||
        a.path.localeCompare(b.path, 'en', { numeric: true }) ||
        a.message.localeCompare(b.message, 'en'),
    )
    .filter((finding) => {
      const key = `${finding.path}\n${finding.message}`;
      return !seen.has(key) && seen.add(key);
    });
}

/** Plain text for people: one finding in two lines. */
export function formatFindings(findings: readonly Finding[]): string {
  return findings
    .map(({ severity, path, message, hint }) => `${severity}: ${path}: ${message}\n  → ${hint}`)
    .join('\n');
}

/** Path of a field below another: `spec.network`, or `parameters["not a name"]`. */
export function fieldPath(parent: string, name: string): string {
  if (!/^[A-Za-z_][A-Za-z0-9_-]*$/.test(name)) return `${parent}[${JSON.stringify(name)}]`;
  return parent === '' ? name : `${parent}.${name}`;
}

/** A user's text in a sentence: quoted, on one line, never longer than a line. */
export function quoted(text: string): string {
  return JSON.stringify(text.length > 60 ? `${text.slice(0, 60)}…` : text);
}
