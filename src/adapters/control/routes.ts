/** Questions of the CLI to the leader: a table of paths, with the same answer on every way in. */
import { OperatingError } from '../../core/errors';
import { answerOf, answerOfError, refusalOf, type Answer } from './json-http';

export interface Question {
  readonly method: string;
  readonly path: string;
  /** Parsed; null without one. */
  readonly body: unknown;
}

export interface Route {
  readonly method: 'GET' | 'POST';
  /** `/v1/clusters/:cluster`: a part with a colon matches anything but a slash. */
  readonly path: string;
  readonly answer: (params: Readonly<Record<string, string>>, body: unknown) => unknown;
}

/** Never rejects: an error is an answer, too. `failed` gets it for the log. */
export async function answerQuestion(
  routes: readonly Route[],
  question: Question,
  failed: (error: unknown) => void,
): Promise<Answer> {
  try {
    const matching = routes.flatMap((route) => {
      const params = match(route.path, question.path);
      return params === null ? [] : [{ route, params }];
    });
    const found = matching.find(({ route }) => route.method === question.method);
    if (found === undefined) return unknownQuestion(question, matching.length > 0);
    return answerOf((await found.route.answer(found.params, question.body)) ?? {});
  } catch (error) {
    failed(error);
    return answerOfError(error);
  }
}

function match(pattern: string, path: string): Readonly<Record<string, string>> | null {
  const [wanted, given] = [pattern.split('/'), path.split('/')];
  if (wanted.length !== given.length) return null;
  const params: Record<string, string> = {};
  for (const [index, part] of wanted.entries()) {
    const value = decoded(given[index] ?? '');
    if (part.startsWith(':')) params[part.slice(1)] = value;
    else if (part !== value) return null;
  }
  return params;
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch (error) {
    const text = `The path of the request cannot be read: ${part} is not percent-encoded.`;
    throw new OperatingError('refused', 'PathUnreadable', text, error);
  }
}

function unknownQuestion({ method, path }: Question, isPathKnown: boolean): Answer {
  const text = `The operator knows no ${method} ${path}. Is it older than this command?`;
  return refusalOf(isPathKnown ? 405 : 404, 'UnknownQuestion', text);
}
