/** What people read about each command: in its help, in the list of commands, in the reference. */

export interface Description {
  readonly does: string;
  /** A few words for the list of commands. */
  readonly summary: string;
  readonly examples: readonly string[];
}

export const COMMANDS = {
  validate: {
    does: 'Reads files and says everything that is wrong with them, at once. Works without Docker; with it, the clusters that there are count too.',
    summary: 'what is wrong with a file',
    examples: [
      'pgswarm validate -f examples/pair.yaml',
      'pgswarm validate -f a.yaml -f b.yaml -o json',
    ],
  },
  plan: {
    does: 'Says what applying a file would change: in the spec, and then step by step in the Swarm, with the rule behind each step and the time without writes. Changes nothing.',
    summary: 'what applying a file would do',
    examples: ['pgswarm plan -f examples/pair.yaml', 'pgswarm plan -f orders.yaml -o json'],
  },
  apply: {
    does: 'Checks a file and makes it the spec of its cluster. The operator does the rest; with --wait, this command tells what it does until the cluster is ready.',
    summary: 'make a cluster as a file says',
    examples: [
      'pgswarm apply -f examples/pair.yaml --wait',
      'pgswarm apply -f orders.yaml --dry-run',
    ],
  },
  status: {
    does: 'Shows roles, lag, term and timeline, whatever is not as it should be and why, and the last change of primary. Without a name: all clusters.',
    summary: 'how a cluster is',
    examples: ['pgswarm status', 'pgswarm status orders --watch', 'pgswarm status orders -o json'],
  },
  why: {
    does: 'Says for every server whether it may become primary now or exactly what is against it, what the operator does or waits for, and everything that it has found.',
    summary: 'why a cluster is as it is',
    examples: ['pgswarm why orders'],
  },
  connect: {
    does: 'Prints a libpq URI that names every server: clients find the primary by themselves, before and after a change (target_session_attrs).',
    summary: 'a URI that follows the primary',
    examples: ['pgswarm connect orders', 'psql "$(pgswarm connect orders --with-password)"'],
  },
  events: {
    does: 'Shows what the operator has done with a cluster, newest last.',
    summary: 'what happened to a cluster',
    examples: ['pgswarm events orders', 'pgswarm events orders -n 5 -o json'],
  },
  logs: {
    does: 'Shows what the servers log, each line with its server: readable on a terminal, as it was written elsewhere.',
    summary: 'what the servers log',
    examples: ['pgswarm logs orders', 'pgswarm logs orders pg1 -f --tail 10'],
  },
  psql: {
    does: 'Runs psql inside the Swarm, as the owner of the database. What comes after -- is given to psql; its exit code is passed on.',
    summary: 'psql on the primary or a standby',
    examples: ['pgswarm psql orders', "pgswarm psql orders --role ro -- -c 'SELECT now()'"],
  },
  delete: {
    does: 'Takes a cluster away: services, network, secrets, records. The volumes with the data stay on their nodes, unless --volumes is given.',
    summary: 'take a cluster away',
    examples: ['pgswarm delete orders', 'pgswarm delete orders --volumes --yes'],
  },
  reclone: {
    does: 'Says that the data of a standby is gone, and lets it be cloned again from the primary into its empty volume.',
    summary: 'clone a standby again whose data is gone',
    examples: ['pgswarm reclone orders pg2 --yes'],
  },
  version: {
    does: 'Says the version of this program.',
    summary: 'the version of this program',
    examples: ['pgswarm version'],
  },
} satisfies Readonly<Record<string, Description>>;
