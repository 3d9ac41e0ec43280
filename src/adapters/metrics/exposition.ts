/**
 * Metrics in Prometheus' text format, each program's in a registry of its own. What can be read is
 * read when somebody asks, and only what happens is counted meanwhile. The default metrics of the
 * client library are not taken: they measure the event loop a hundred times a second, which costs
 * an idle instance manager a third of what it takes in all.
 */
import type * as Prom from 'prom-client';
import { type Families, type Family, type Sample } from '../../core/metrics/family';

/* eslint-disable @typescript-eslint/no-require-imports -- all of the library takes 3.5 MB more */
const Registry = require('prom-client/lib/registry') as typeof Prom.Registry;
const Gauge = require('prom-client/lib/gauge') as typeof Prom.Gauge;
const Counter = require('prom-client/lib/counter') as typeof Prom.Counter;
const Histogram = require('prom-client/lib/histogram') as typeof Prom.Histogram;
/* eslint-enable @typescript-eslint/no-require-imports */

/** Metrics that are read, all of them at the same moment. */
export interface Source {
  readonly families: Families;
  readonly read: () => readonly Sample[];
}

/** Those that are counted or observed as they happen. */
export interface Events<Name extends string> {
  count(name: Name, labels?: Readonly<Record<string, string>>, by?: number): void;
  observe(name: Name, seconds: number): void;
}

type Metric = Prom.Gauge | Prom.Counter | Prom.Histogram;

export class Exposition {
  readonly #registry = new Registry();
  readonly #sources: { readonly source: Source; readonly metrics: ReadonlyMap<string, Metric> }[] =
    [];

  /** `labels` are on every metric. */
  constructor(labels: Readonly<Record<string, string>> = {}) {
    this.#registry.setDefaultLabels(labels);
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  add(source: Source): void {
    this.#sources.push({ source, metrics: this.#make(source.families) });
  }

  events<Known extends Families>(families: Known): Events<keyof Known & string> {
    const metrics = this.#make(families);
    return {
      count: (name, labels = {}, by = 1) => {
        const metric = metrics.get(name);
        if (metric instanceof Counter) metric.inc(labels, by);
      },
      observe: (name, seconds) => {
        const metric = metrics.get(name);
        if (metric instanceof Histogram) metric.observe(seconds);
      },
    };
  }

  async text(): Promise<string> {
    for (const { source, metrics } of this.#sources) refresh(source, metrics);
    return await this.#registry.metrics();
  }

  #make(families: Families): ReadonlyMap<string, Metric> {
    return new Map(
      Object.entries(families).map(([name, family]) => [name, made(name, family, this.#registry)]),
    );
  }
}

function made(name: string, family: Family, registry: Prom.Registry): Metric {
  const { kind, help, labels, buckets = [] } = family;
  const options = { name, help, labelNames: [...labels], registers: [registry] };
  if (kind === 'gauge') return new Gauge(options);
  if (kind === 'counter') return new Counter(options);
  return new Histogram({ ...options, buckets: [...buckets] });
}

/** What is not there any more vanishes. */
function refresh({ families, read }: Source, metrics: ReadonlyMap<string, Metric>): void {
  const samples = read();
  for (const [name, metric] of metrics) {
    metric.reset();
    // Without labels it would begin with 0, which nobody has said.
    if (metric instanceof Gauge && families[name]?.labels.length === 0) metric.remove();
  }
  for (const { name, labels, value } of samples) {
    const metric = metrics.get(name);
    if (metric instanceof Gauge) metric.set(labels, value);
    else if (metric instanceof Counter) metric.inc(labels, value);
  }
}
