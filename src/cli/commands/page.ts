/** `pgswarm page`: a link to the web page, with the token that opens it. */
import { DONE, refusal, type ExitCode } from '../exit';
import { askLeader } from '../leader';
import { type CliPorts } from '../ports';

export async function run(ports: CliPorts): Promise<ExitCode> {
  const { output } = ports;
  const access = ports.connect();
  const { port, token } = await askLeader(ports, () => access.operator.page());
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
