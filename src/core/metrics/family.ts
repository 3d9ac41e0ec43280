/** Metrics as plain data: what there is, and what it is now. Names follow Prometheus' conventions. */

/** All metrics of one name. */
export interface Family {
  readonly kind: 'gauge' | 'counter' | 'histogram';
  readonly help: string;
  readonly labels: readonly string[];
  /** Upper bounds, in seconds; of histograms. */
  readonly buckets?: readonly number[];
}

export type Families = Readonly<Record<string, Family>>;

/** One value at this moment. */
export interface Sample<Name extends string = string> {
  readonly name: Name;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

export const gauge = (help: string, ...labels: readonly string[]): Family => ({
  kind: 'gauge',
  help,
  labels,
});

export const counter = (help: string, ...labels: readonly string[]): Family => ({
  kind: 'counter',
  help,
  labels,
});

export const histogram = (help: string, buckets: readonly number[]): Family => ({
  kind: 'histogram',
  help,
  labels: [],
  buckets,
});

/** A metric without a value is left out: 0 would be a lie. */
export function sampled<Name extends string>(
  labels: Readonly<Record<string, string>>,
  values: Readonly<Partial<Record<Name, number | boolean | null>>>,
): readonly Sample<Name>[] {
  return (Object.entries(values) as [Name, number | boolean | null][]).flatMap(([name, value]) =>
    value === null ? [] : [{ name, labels, value: Number(value) }],
  );
}

/** One of several, as Prometheus has it: 1 for the one that is, 0 for the others. */
export const oneOf = <Name extends string>(
  name: Name,
  labels: Readonly<Record<string, string>>,
  choice: { readonly label: string; readonly of: readonly string[]; readonly is: string | null },
): readonly Sample<Name>[] =>
  choice.of.map((each) => ({
    name,
    labels: { ...labels, [choice.label]: each },
    value: Number(each === choice.is),
  }));

export const secondsOf = (ms: number | null): number | null => (ms === null ? null : ms / 1000);

/** Seconds since 1970 of an ISO 8601 time. */
export const timestampOf = (at: string | null): number | null =>
  at === null ? null : Date.parse(at) / 1000;
