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
      'pgswarm apply -f orders.yaml --watch',
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
    examples: ['pgswarm why orders', 'pgswarm why orders -o yaml'],
  },
  simulate: {
    does: 'Foretells what would become of a cluster that lost nodes or servers now: who would take over or why nobody would, what would be lost, how long writes would be away, and what else is on those nodes. Decided by the operator’s own rules from what it has seen last. Changes nothing.',
    summary: 'what the loss of a node would do',
    examples: [
      'pgswarm simulate orders --lose n1',
      'pgswarm simulate orders --lose n1,n2',
      'pgswarm simulate orders --lose server:pg1 -o json',
    ],
  },
  connect: {
    does: 'Prints a libpq URI that names every server: clients find the primary by themselves, before and after a change (target_session_attrs).',
    summary: 'a URI that follows the primary',
    examples: ['pgswarm connect orders', 'psql "$(pgswarm connect orders --with-password)"'],
  },
  events: {
    does: 'Shows what was decided about a cluster, by which rule or person, newest last. Swarm’s store has the newest hundred; the leading operator’s volume has more.',
    summary: 'what happened to a cluster',
    examples: [
      'pgswarm events orders',
      'pgswarm events orders --since 2h --long',
      'pgswarm events orders --since 2h --watch -o json',
    ],
  },
  page: {
    does: 'Prints a link to the web page, which shows all clusters live. The link has the token in it: whoever has it may look. The page is off until it is deployed with manifests/page.yaml.',
    summary: 'a link to the web page',
    examples: ['pgswarm page', 'xdg-open "$(pgswarm page)"'],
  },
  logs: {
    does: 'Shows what the servers log, each line with its server: readable on a terminal, as it was written elsewhere.',
    summary: 'what the servers log',
    examples: ['pgswarm logs orders', 'pgswarm logs orders pg1 -f --tail 10'],
  },
  report: {
    does: 'Packs everything into one file that somebody needs who is to help: status, spec, record, events, what the operator has seen, Docker’s view of nodes and services, and the ends of the logs. Passwords and keys are hidden; queries in the logs may still contain data.',
    summary: 'a bundle for whoever is to help',
    examples: ['pgswarm report orders', 'pgswarm report orders -o /tmp/orders.tar.gz'],
  },
  archive: {
    does: 'Keeps WAL from being archived for a while, as for maintenance of the archive volume, or lets it go on. It waits in the data volume meanwhile; when the time is over archiving goes on by itself.',
    summary: 'pause archiving, for a bounded time',
    examples: [
      'pgswarm archive pause orders',
      'pgswarm archive pause orders --server pg2 --for 2h',
      'pgswarm archive resume orders',
    ],
  },
  backup: {
    does: 'Has a backup taken, by a standby if there is one, and kept on the archive volume of the server that takes it; compared with its manifest when it is complete. Ctrl-C ends the waiting, not the backup.',
    summary: 'take a backup',
    examples: [
      'pgswarm backup orders',
      'pgswarm backup orders --incremental',
      'pgswarm backup orders --method dump --server pg2',
      'pgswarm backup orders --method snapshot',
    ],
  },
  load: {
    does: 'Puts one database of a dump into the running primary. One that exists is refused; with --replace it is kept under another name until the new one is whole. Roles are not touched. Ctrl-C ends the waiting, not the load.',
    summary: 'put a dumped database back',
    examples: [
      'pgswarm load orders 20261121T050000Z --database app',
      'pgswarm load orders 20261121T050000Z --replace --yes',
    ],
  },
  backups: {
    does: 'Shows the backups of a cluster: what they are, how large, where they are kept, and when they were last compared with what was written.',
    summary: 'which backups there are',
    examples: ['pgswarm backups orders', 'pgswarm backups orders -o json'],
  },
  drill: {
    does: 'Has the newest backup and all WAL restored into a copy, by a standby if there is one, looks at every table and at the query of spec.backup.drill, and throws the copy away. Says how long it took and how far it got. Ctrl-C ends the waiting, not the drill.',
    summary: 'try a restore on a copy',
    examples: ['pgswarm drill orders', 'pgswarm drill orders --server pg2'],
  },
  restore: {
    does: 'Brings a cluster back to a point in time, in place. Whether the archive leads there is looked at first. Then writes stop, what is there is set aside on every server, and the primary is restored, for you alone to look at; until you accept it, go back, or try another point. Accepting begins a new timeline. With --preview a copy is restored instead, on the archive volume of a standby if there is one, and the cluster is left alone.',
    summary: 'a cluster back to a point in time',
    examples: [
      'pgswarm restore orders --time 2026-11-21T17:14:59Z',
      'pgswarm restore orders --xid 731 --exclusive',
      'pgswarm restore orders --undo',
      'pgswarm restore orders --accept',
      'pgswarm restore orders --preview --name before-migration',
    ],
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
  promote: {
    does: 'Makes another server the primary now, whatever the file says: by a switchover, or, when the primary is gone, by a failover. What is not safe is refused, with the reason, and nothing is changed; where only a person can decide, the two options say what that person answers for. Afterwards it says what to commit.',
    summary: 'make another server the primary',
    examples: [
      'pgswarm promote orders pg2',
      'pgswarm promote orders pg2 --accept-data-loss',
      'pgswarm promote orders pg2 --primary-is-dead --yes',
    ],
  },
  pause: {
    does: 'Keeps the operator from changing anything in a cluster, for maintenance of the machines below. The primary goes on and keeps its lease; if it dies, nobody takes over.',
    summary: 'let the operator change nothing',
    examples: ['pgswarm pause orders'],
  },
  resume: {
    does: 'Ends a pause: the operator does what has to be done since.',
    summary: 'end a pause',
    examples: ['pgswarm resume orders'],
  },
  fence: {
    does: 'Stops the PostgreSQL of one server and keeps it stopped, also when its container or its node starts again, until it is unfenced. Its data stays. Fencing the primary stops all writes: nobody takes over by itself.',
    summary: 'keep one server stopped',
    examples: ['pgswarm fence orders pg2', 'pgswarm fence orders pg1 --yes'],
  },
  unfence: {
    does: 'Ends a fence: PostgreSQL is started again in the role that the server has by then.',
    summary: 'let a fenced server run again',
    examples: ['pgswarm unfence orders pg2'],
  },
  restart: {
    does: 'Restarts PostgreSQL, not the container, on every server or on one: the standbys one after the other, each only when the one before streams again, and the primary last. Writes pause while the primary restarts.',
    summary: 'restart PostgreSQL, one after the other',
    examples: ['pgswarm restart orders', 'pgswarm restart orders pg2'],
  },
  reclone: {
    does: 'Says that the data of a standby is gone, and lets it be cloned again from the primary into its empty volume.',
    summary: 'clone a standby again whose data is gone',
    examples: ['pgswarm reclone orders pg2 --yes'],
  },
  completion: {
    does: 'Prints a script for the shell that completes commands, options, and the names of clusters, servers and nodes. To try it: source <(pgswarm completion bash).',
    summary: 'complete commands and names in a shell',
    examples: [
      'pgswarm completion bash > /etc/bash_completion.d/pgswarm',
      'pgswarm completion zsh > "${fpath[1]}/_pgswarm"',
      'pgswarm completion fish > ~/.config/fish/completions/pgswarm.fish',
    ],
  },
  version: {
    does: 'Says the version of this program.',
    summary: 'the version of this program',
    examples: ['pgswarm version'],
  },
} satisfies Readonly<Record<string, Description>>;
