/** Where an operator shows its metrics, by `PGSWARM_METRICS_PORT`; null: nowhere. */
import { OperatingError } from '../core/errors';
import { METRICS_PORT } from '../core/names';

export function metricsPort(given: string | undefined): number | null {
  if (given === undefined || given === '') return METRICS_PORT;
  if (given === 'off') return null;
  const port = Number(given);
  if (Number.isInteger(port) && port > 0 && port < 65_536) return port;
  const message = `PGSWARM_METRICS_PORT is ${given}; write a port, or off`;
  throw new OperatingError('refused', 'MetricsPort', message);
}
