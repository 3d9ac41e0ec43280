/**
 * Writes the parts of the documentation that follow from the code: the decision table, the state
 * machines, the command line and the metrics. `npm run generate`; test/tidy proves that they are fresh.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type AnyStateNode } from 'xstate';
import { RULES } from '../src/core/decide';
import { type Section } from '../src/core/rules/rule';
import { renderCliReference } from '../src/cli/reference';
import { clusterMachine } from '../src/operator/cluster-machine';
import { lifeMachine } from '../src/instance/life-machine';
import { renderMetrics } from './metrics-reference';

const ROOT = join(__dirname, '..');

export interface GeneratedDocument {
  /** Relative to the package. */
  readonly path: string;
  readonly text: string;
}

export const generateDocuments = (): readonly GeneratedDocument[] => [
  { path: 'docs/reference/rules.md', text: renderRules() },
  { path: 'docs/reference/machines.md', text: renderMachines() },
  { path: 'docs/reference/cli.md', text: renderCliReference() },
  { path: 'docs/reference/metrics.md', text: renderMetrics() },
];

const SECTIONS: Readonly<Record<Section, string>> = {
  deletion: 'Only for a cluster that is being deleted; nothing else is looked at then.',
  safety: 'What must be known before anything is done.',
  failover: 'The primary is lost, or was: who takes over, and what is waited for.',
  switchover: 'A change of primary that is under way goes before everything else.',
  contract: 'What the record relies on, and what a change of role has left to be written down.',
  synchronous: 'Which standbys a commit waits for, and what a failover may rely on.',
  objects: 'The cluster’s objects in Swarm.',
  bootstrap: 'From nothing, or from kept volumes, to a first primary.',
  configuration: 'Settings and images on their way to running servers.',
  maintenance: 'What a person does to single servers.',
  servers: 'The servers of a running cluster.',
  archive: 'The WAL archive of every server.',
  restore: 'A point to which the cluster is restored in place, until a person has decided.',
  backup: 'Backups that people and schedules ask for.',
  request: 'What the user asks for, once everything else is in order.',
};

function renderRules(): string {
  const sections = (Object.keys(SECTIONS) as Section[]).map((section) => {
    const rows = RULES.filter((rule) => rule.section === section).map(
      ({ id, about }) => `| \`${id}\` | ${about} |`,
    );
    return [
      `## ${section}`,
      '',
      SECTIONS[section],
      '',
      '| rule | what it is for |',
      '| --- | --- |',
      ...rows,
    ].join('\n');
  });
  return `# The rules

Generated from \`src/core/rules\` by \`npm run generate\`.

The operator decides by this table, in this order. The first rule that has something to do decides;
a rule that can only wait raises its condition and lets the rules after it act. When none matches,
the decision is \`steady\`. Ids are stable: they are in logs, events, \`pgswarm why\` and
\`pgswarm plan\`.

${sections.join('\n\n')}
`;
}

function renderMachines(): string {
  const cluster = clusterMachine({
    observe: () => Promise.resolve('done'),
    decide: () => ({ hasSteps: false }),
    apply: () => Promise.resolve('done'),
    failed: () => 'transient',
  });
  return `# The state machines

Generated from the machines themselves by \`npm run generate\`. Neither knows what to do: they ask
\`decide\` (the operator, see [the rules](rules.md)) or \`nextAction\` (the instance manager).

## The operator’s loop, one per cluster

${mermaid(cluster)}

## The instance’s life, one per server

${mermaid(lifeMachine)}
`;
}

/** Mermaid's state diagram: one arrow per transition to another state, with its guard. */
function mermaid({ root }: { readonly root: AnyStateNode }): string {
  const arrows = Object.values(root.states).flatMap((node) =>
    [...[...node.transitions.values()].flat(), ...(node.always ?? [])].flatMap((transition) =>
      (transition.target ?? []).map((target) => {
        const guard = typeof transition.guard === 'string' ? ` [${transition.guard}]` : '';
        return `  ${node.key} --> ${target.key}: ${labelOf(String(transition.eventType))}${guard}`;
      }),
    ),
  );
  const initial = root.initial.target[0]?.key ?? '';
  const lines = ['stateDiagram-v2', `  [*] --> ${initial}`, ...new Set(arrows)];
  return ['```mermaid', ...lines, '```'].join('\n');
}

/** xstate's internal names of events, in words. */
function labelOf(text: string): string {
  if (text.startsWith('xstate.done')) return 'done';
  if (text.startsWith('xstate.error')) return 'failed';
  const delay = /^xstate\.after\.([^.]+)/.exec(text)?.[1];
  if (delay !== undefined) return `after ${delay}`;
  return text === '' ? 'at once' : text;
}

if (require.main === module) {
  for (const { path, text } of generateDocuments()) {
    const file = join(ROOT, path);
    writeFileSync(file, text);
    process.stdout.write(`${path}: ${String(readFileSync(file, 'utf8').length)} characters\n`);
  }
}
