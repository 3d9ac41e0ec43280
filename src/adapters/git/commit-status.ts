/** Tells another program what became of a commit: a JSON document, posted. */
import { messageOf, OperatingError } from '../../core/errors';
import { type Commit } from '../../core/git/source';
import { readSecret } from './repository';

export interface Verdict {
  readonly repository: string;
  readonly branch: string;
  readonly commit: Commit;
  /** In GitHub's and Gitea's words; `failure` when a file was refused. */
  readonly state: 'success' | 'failure' | 'pending';
  /** One line. */
  readonly description: string;
  /** One for each file. */
  readonly files: readonly unknown[];
}

const TIMEOUT_MS = 10_000;

/** Throws when it was not taken. Nobody waits for it: the cluster does not depend on it. */
export async function postVerdict(
  url: string,
  headerFile: string | null,
  verdict: Verdict,
): Promise<void> {
  const to = url.replaceAll('{commit}', verdict.commit.id);
  const response = await fetch(to, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      'user-agent': 'pgswarm',
      ...(headerFile === null ? {} : headerOf(await readSecret(headerFile), headerFile)),
    },
    body: JSON.stringify({ context: 'pgswarm', ...verdict }),
    // A header with a token is for this server and for no other one.
    redirect: 'error',
    signal: AbortSignal.timeout(TIMEOUT_MS),
  }).catch((error: unknown) => {
    const cause = error instanceof Error && error.cause !== undefined ? error.cause : error;
    throw notTaken(messageOf(cause));
  });
  await response.body?.cancel();
  if (!response.ok) throw notTaken(`status ${response.status}`);
}

const notTaken = (because: string): OperatingError =>
  new OperatingError(
    'transient',
    'StatusNotTaken',
    `the commit's status was not taken: ${because}`,
  );

/** `Authorization: Bearer …`, as in a request. */
function headerOf(text: string, file: string): Record<string, string> {
  const match = /^([\w-]+):\s*([^\r\n]+)$/.exec(text.trim());
  const [, name, value] = match ?? [];
  if (name !== undefined && value !== undefined) return { [name]: value };
  throw new OperatingError('refused', 'StatusHeader', `${file} must hold one line, Name: value`);
}
