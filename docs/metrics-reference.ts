/** The reference of all metrics, made from the families that the programs expose. */
import { clusterFamilies } from '../src/core/metrics/cluster';
import { type Families } from '../src/core/metrics/family';
import { instanceEventFamilies, instanceFamilies } from '../src/core/metrics/instance';
import { operatorEventFamilies, operatorFamilies } from '../src/core/metrics/operator';
import { processFamilies } from '../src/core/metrics/process';

export const renderMetrics = (): string => `# The metrics

Generated from \`src/core/metrics\` by \`npm run generate\`. How to collect them:
[monitoring](../how-to/monitoring.md). What has no value at the moment is absent, never 0.

## The operator

Every operator tells these of itself.

${table({ ...operatorFamilies, ...operatorEventFamilies })}

The one that leads tells these of every cluster: the figures of \`pgswarm status\`.

${table(clusterFamilies)}

## The instance manager

Every one tells these of itself, with the labels \`cluster\` and \`server\`, also when no operator is
there.

${table({ ...instanceFamilies, ...instanceEventFamilies })}

## Both

${table(processFamilies)}
`;

function table(families: Families): string {
  const rows = Object.entries(families).map(([name, { kind, labels, help }]) => {
    const shown = labels.map((label) => `\`${label}\``).join(', ');
    return `| \`${name}\` | ${kind} | ${shown} | ${help} |`;
  });
  return ['| metric | kind | labels | what it is |', '| --- | --- | --- | --- |', ...rows].join(
    '\n',
  );
}
