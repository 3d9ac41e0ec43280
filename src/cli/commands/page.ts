/** `pgswarm page`: a link to the web page, with the token that opens it. */
import { DONE, refusal, type ExitCode } from '../exit';
import { type CliPorts } from '../ports';

export async function run({ connect, output }: CliPorts): Promise<ExitCode> {
  const access = connect();
  const { port, token } = await access.operator.page();
  // Of no cluster in particular: only the nodes matter.
  const { nodes } = await access.observe('');
  const [manager] = nodes.filter(({ isManager, state }) => isManager && state === 'ready');
  if (manager === undefined) {
    throw refusal('NoManager', 'No manager of the Swarm is ready: see docker node ls.');
  }
  // After the # it stays in the browser: no server and no proxy writes it into a log.
  output.print(`http://${manager.address}:${port}/#token=${token}`);
  output.note(
    'Whoever has this link can see all clusters, and change nothing. Any manager serves it.',
  );
  return DONE;
}
