/** Options that several commands have, and how what is typed after one becomes a value. */
import { InvalidArgumentError, Option } from 'commander';
import { parseDuration, parseSize, type Parsed } from '../core/quantities';
import { type Since } from './commands/events';

export const format = (...choices: readonly string[]): Option =>
  new Option('-o, --output <FORMAT>', 'for programs').choices([...choices]);

export const role = (): Option =>
  new Option('--role <ROLE>', 'rw: the primary; ro: a standby if there is one')
    .choices(['rw', 'ro'])
    .default('rw');

export const collect = (value: string, before: readonly string[] = []): readonly string[] => [
  ...before,
  value,
];

export const names = (value: string, before: readonly string[] = []): readonly string[] => [
  ...before,
  ...value.split(',').filter((name) => name !== ''),
];

export function count(text: string): number {
  if (/^\d{1,6}$/.test(text)) return Number(text);
  throw new InvalidArgumentError('It is not a whole number.');
}

/** An instant needs its zone: this machine's may differ from that of the servers. */
export function since(text: string): Since {
  const ago = parseDuration(text);
  if (ago.kind === 'value') return { agoMs: ago.value };
  const at = new Date(text);
  if (/^\d{4}-\d\d-\d\dT.*(Z|[+-]\d\d:\d\d)$/.test(text) && !Number.isNaN(at.getTime())) {
    return { at: at.toISOString() };
  }
  throw new InvalidArgumentError('Write 30m, 2h, 7d, or 2026-11-21T17:00:00Z.');
}

export const size = (text: string): number => valueOf(parseSize(text));
export const duration = (text: string): number => valueOf(parseDuration(text));

function valueOf(parsed: Parsed): number {
  if (parsed.kind === 'value') return parsed.value;
  throw new InvalidArgumentError(`${parsed.message}: ${parsed.hint}.`);
}

export function seconds(text: string): number {
  const value = count(text);
  if (value > 0) return value;
  throw new InvalidArgumentError('It must be more than 0.');
}
