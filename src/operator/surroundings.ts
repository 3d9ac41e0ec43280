/** What an operator has to find out about itself before it can begin. */
import { lookup } from 'node:dns/promises';
import { networkInterfaces } from 'node:os';
import { setTimeout as pause } from 'node:timers/promises';
import { type Log } from '../adapters/log';
import { type Docker } from '../adapters/swarm/docker';
import { ownImage } from '../adapters/swarm/root-key';
import { OperatingError, messageOf } from '../core/errors';
import { OPERATOR_PORT, OPERATOR_SERVICE } from '../core/names';

/** What is not there yet when a machine starts is asked for again after this long. */
const RETRY_MS = 2_000;

/** Tries again until it works, and says each new trouble once. */
export async function untilItWorks<T>(log: Log, attempt: () => Promise<T>): Promise<T> {
  let trouble: string | null = null;
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      const message = messageOf(error);
      if (message !== trouble) log.warn('not possible yet; it is tried again', { message });
      trouble = message;
      await pause(RETRY_MS);
    }
  }
}

/** Our own `host:port` among those of all operators on the control network. */
export async function ownAddress(): Promise<string> {
  const own = Object.values(networkInterfaces()).flatMap((all) => all ?? []);
  const operators = await lookup(`tasks.${OPERATOR_SERVICE}`, { all: true, family: 4 });
  const mine = operators.find(({ address }) => own.some((each) => each.address === address));
  if (mine !== undefined) return `${mine.address}:${String(OPERATOR_PORT)}`;
  const message = `none of this container's addresses is one of tasks.${OPERATOR_SERVICE}; deploy the stack under the name pgswarm`;
  throw new OperatingError('transient', 'NoControlAddress', message);
}

/** The image that the instances run, too, unless their spec names another. */
export async function instanceImage(docker: Docker, given: string | undefined): Promise<string> {
  const image = given ?? (await ownImage(docker));
  if (image !== null) return image;
  const message =
    'the operator does not run as a Swarm service, so PGSWARM_IMAGE must name the image';
  throw new OperatingError('refused', 'ImageUnknown', message);
}
