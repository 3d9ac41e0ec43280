/** Generated from crds/postgrescluster.schema.json by `npm run generate`; do not edit. */

/**
 * One highly available PostgreSQL: the servers it runs on, and which of them is the primary.
 */
export interface PostgresCluster {
  /**
   * Version of this format. Always `pgswarm.dev/v1`.
   */
  apiVersion: 'pgswarm.dev/v1';
  /**
   * What the document describes. Always `PostgresCluster`.
   */
  kind: 'PostgresCluster';
  /**
   * The cluster's identity.
   */
  metadata: {
    /**
     * Name of the cluster: every Docker object of the cluster carries it, so it cannot be changed later. Small letters, digits and `-`, at most 30 characters.
     */
    name: string;
  };
  /**
   * What the cluster shall be.
   */
  spec: {
    /**
     * Image that the servers run. Without it they run the operator's own image, which is right unless you need extensions that it does not have. It must contain pgswarm.
     */
    image?: string;
    /**
     * PostgreSQL itself.
     */
    postgres: {
      /**
       * Major version of PostgreSQL.
       */
      version: 17;
      /**
       * PostgreSQL parameters, as in `postgresql.conf`. A few belong to pgswarm, such as `port`, `wal_log_hints` and `primary_conninfo`; they are refused with the reason.
       */
      parameters?: {
        /**
         * Value of the parameter.
         */
        [k: string]: string | number | boolean;
      };
      /**
       * Who may connect from where: lines of `pg_hba.conf`, tried in this order after pgswarm's own. Passwords are always scram-sha-256.
       *
       * @maxItems 100
       *
       * Items: One line of `pg_hba.conf`.
       */
      hba?: string[];
      /**
       * Database that is created with the cluster. Small letters, digits and `_`.
       */
      database?: string;
      /**
       * Role that is created with the cluster and owns the database; pgswarm makes its password. Small letters, digits and `_`.
       */
      owner?: string;
    };
    /**
     * The private network between the cluster's servers.
     */
    network: {
      /**
       * IPv4 subnet that nothing else uses, neither another cluster nor your own networks. Replication is allowed from here only.
       */
      subnet: string;
    };
    /**
     * Name of the server that shall accept writes. Change it and apply the file again: that is a switchover.
     */
    primary: string;
    /**
     * The servers: one PostgreSQL each, tied to a node, because its data is there.
     *
     * @minItems 1
     * @maxItems 16
     */
    servers: Server[];
    /**
     * Where the cluster's first data comes from. Without it the database is empty. It counts once, while the data volumes are empty; later it means nothing.
     */
    bootstrap?: {
      restore: RestoreSource;
    };
    /**
     * How standbys follow the primary.
     */
    replication?: {
      /**
       * A commit is acknowledged only when standbys have it on disk. Without it replication is asynchronous.
       */
      synchronous?: {
        /**
         * `any`: as many of the standbys as `number` says. `first`: those with the highest `failover.priorities`.
         */
        mode?: 'any' | 'first';
        /**
         * How many standbys must have a commit before it is acknowledged.
         */
        number: number;
        /**
         * `required`: without enough standbys writes wait. `preferred`: without enough standbys writes go on, and a failover in that time may lose them.
         */
        durability?: 'required' | 'preferred';
      };
    };
    /**
     * Bounds of a planned change of primary.
     */
    switchover?: {
      /**
       * A new primary that is further behind than this is refused: writes would stop too long while it catches up.
       */
      maxLag?: string;
      /**
       * Writes are stopped at most this long. If the new primary is not there by then, the old one goes on and nothing is lost.
       */
      timeout?: string;
    };
    /**
     * How settings that need a restart, and a new image, are brought to running servers: to one standby after the other, and then to the primary.
     */
    update?: {
      /**
       * `automatic`: a standby takes over, and the old primary is restarted as a standby; it becomes primary again when it is the declared one. `supervised`: the primary is left as it is until a person says `pgswarm restart` or `pgswarm promote`.
       */
      primary?: 'automatic' | 'supervised';
    };
    /**
     * What happens when the primary is gone.
     */
    failover?: {
      /**
       * `automatic`: when the primary is gone, a standby that is safe to promote takes over; the primary works under a lease and stops itself when nobody renews it. `manual`: no lease, and the cluster waits for the primary or for `pgswarm promote`.
       */
      mode?: 'automatic' | 'manual';
      /**
       * Length of the primary's lease: a primary that is cut off from everybody is stopped within this time, and nobody else is promoted before.
       */
      ttl?: string;
      /**
       * A standby that is known to miss more than this does not become primary in a failover. What the primary wrote after its last heartbeat, a second at most, is not known. With synchronous replication nothing may be missing.
       */
      maxLag?: string;
      /**
       * Wait this much longer once the primary is known to be gone, in the hope that it comes back.
       */
      delay?: string;
      /**
       * Of candidates that have the same data the one with the highest number is promoted; 0 is never promoted. A server that is not named has 100.
       */
      priorities?: {
        /**
         * Priority of the server of this name.
         */
        [k: string]: number;
      };
      /**
       * What happens when the declared primary is back after a failover. `hold`: the new primary stays. `auto`: the role moves back by a switchover, after `failbackAfter`. `adopt`: the new primary stays, and is committed to the Git repository that the file comes from.
       */
      failback?: 'hold' | 'auto' | 'adopt';
      /**
       * With `failback: auto`, how long the declared primary must have been streaming without a break.
       */
      failbackAfter?: string;
    };
    /**
     * Every server keeps the whole WAL in its own archive volume: from there a standby that fell behind catches up, and the cluster can be restored to a point in time.
     */
    archive?: {
      /**
       * How WAL is compressed in the archive. `zstd` is small and fast; `none` costs no processor time and about ten times the space.
       */
      compression?: 'zstd' | 'lz4' | 'gzip' | 'none';
      /**
       * WAL that does not fill a segment of 16 MB is archived after this long, too: at most so much is lost with all servers at once. `0s`: only whole segments are archived.
       */
      timeout?: string;
    };
    /**
     * What happens when this file is removed from the Git repository that the operator follows. `retain`: the cluster goes on. `delete`: it is stopped and taken away; its volumes are kept, and the file brought back brings the data back.
     */
    deletionPolicy?: 'retain' | 'delete';
    /**
     * When backups are taken, and how long they are kept.
     */
    backup?: {
      /**
       * What every server throws away of its own archive: backups that no rule wants, then the WAL that no backup needs any more. Without a rule everything is kept, and the disks fill.
       */
      retention?: {
        /**
         * So many backups stay, the newest that can be restored; increments count, and what they build on stays with them. Snapshots and base backups are counted together, dumps for themselves.
         */
        keep?: number;
        /**
         * The cluster can be restored to every point since then. With `keep`, too, a backup stays for as long as either of the two wants it.
         */
        maxAge?: string;
      };
      /**
       * Restore drills: a standby, or else the primary, restores the newest backup and all WAL into a copy on its archive volume, looks at it, and throws it away. So one knows that the data can be had back, and how long that takes.
       */
      drill?: {
        /**
         * When, as in a crontab. Without it only `pgswarm drill` makes one.
         */
        schedule?: string;
        /**
         * Time zone of the schedule, by its IANA name.
         */
        timeZone?: string;
        /**
         * A query of the cluster's database that must say true of the restored data.
         */
        query?: string;
        /**
         * The server that makes it. Without it a standby does, if there is one.
         */
        server?: string;
      };
      /**
       * Backups that are taken by themselves. Of several that are due at once the one that stands first is taken first.
       *
       * @maxItems 16
       */
      schedules?: Schedule[];
    };
  };
}
/**
 * One server.
 */
export interface Server {
  /**
   * Name of the server, unique in the cluster and never reused for other data. Small letters, digits and `-`, at most 30 characters.
   */
  name: string;
  node: NodeChoice;
  /**
   * Port on the node at which clients reach this server.
   */
  port?: number;
  /**
   * `streaming`: this server follows the primary moment by moment. `archive`: it is fed from the archives alone, a segment at a time; it never takes over by itself, and no commit waits for it.
   */
  replication?: 'streaming' | 'archive';
  /**
   * Whether this server answers queries while it is a standby. `false` only with `replication: archive`. A change takes effect with `pgswarm restart`.
   */
  hotStandby?: boolean;
  /**
   * This server replays every commit so much later than the primary made it: time to notice a mistake. It never takes over by itself, and no commit waits for it.
   */
  applyDelay?: string;
}
/**
 * The Swarm node that the server is tied to: exactly one of `hostname`, `id` and `labels`.
 */
export interface NodeChoice {
  /**
   * The node's hostname, as `docker node ls` shows it.
   */
  hostname?: string;
  /**
   * The node's id, as `docker node ls` shows it: for nodes that share a hostname.
   */
  id?: string;
  /**
   * Labels that the node carries, all of them; they must fit one node only. Set one with `docker node update --label-add rack=b NODE`.
   */
  labels?: {
    /**
     * Value of the label.
     */
    [k: string]: string;
  };
}
/**
 * Another cluster's archive: a backup in it, and the WAL behind that. The other cluster need not exist any more, and nothing of it is changed.
 */
export interface RestoreSource {
  /**
   * Name of the other cluster; with `server`.
   */
  from?: string;
  /**
   * The server of the other cluster whose archive volume is read. It must be on the node of this cluster's `primary`.
   */
  server?: string;
  /**
   * Instead of `from` and `server`: the archive volume by its name in Docker, such as one that was copied to this node.
   */
  volume?: string;
  /**
   * Id of the backup to begin with, as `pgswarm backups` shows it. Without it the newest one that ends before the target.
   */
  backup?: string;
  /**
   * To which point: exactly one of `time`, `lsn`, `xid`, `name`, `immediate` and `latest`.
   */
  target: {
    /**
     * A moment, with its time zone: what was committed by then.
     */
    time?: string;
    /**
     * A WAL position, as `pg_current_wal_lsn()` shows it.
     */
    lsn?: string;
    /**
     * A transaction, by the number that `pg_current_xact_id()` shows.
     */
    xid?: string | number;
    /**
     * A restore point, by the name that was given to `pg_create_restore_point()`.
     */
    name?: string;
    /**
     * `true`: the end of the backup, as soon as the data is consistent.
     */
    immediate?: boolean;
    /**
     * `true`: the end of the WAL that the archive has.
     */
    latest?: boolean;
    /**
     * Stop just before the time, position or transaction instead of just after it.
     */
    exclusive?: boolean;
    /**
     * Timeline on whose way the point lies: `latest`, `current` (that of the backup) or its number. Without it `latest`.
     */
    timeline?: string | number;
  };
}
/**
 * One schedule.
 */
export interface Schedule {
  /**
   * Name of the schedule, unique in the cluster. Small letters, digits and `-`, at most 30 characters.
   */
  name: string;
  /**
   * When, as in a crontab: minute, hour, day of the month, month and day of the week, or `@hourly`, `@daily`, `@weekly`, `@monthly`.
   */
  schedule: string;
  /**
   * Time zone of the schedule, by its IANA name.
   */
  timeZone?: string;
  /**
   * `base`: of the whole server, by pg_basebackup. `dump`: of its databases, by pg_dump. `snapshot`: of the whole server, by the file system, in no time and no room where it can clone files.
   */
  method?: 'base' | 'dump' | 'snapshot';
  /**
   * Only what has changed since the newest base backup; a full one where there is none. Needs `summarize_wal: on` among the parameters.
   */
  incremental?: boolean;
  /**
   * The server that takes it. Without it a standby does, if there is one.
   */
  server?: string;
  /**
   * No backup is taken; what would have been due meanwhile is not made up for.
   */
  suspend?: boolean;
}

/** Defaults of the spec's fields; under `servers` those of one server. */
export const DEFAULTS = {
  postgres: {
    parameters: {},
    hba: ['host all all all scram-sha-256'],
    database: 'app',
    owner: 'app',
  },
  servers: { port: 5432, replication: 'streaming', hotStandby: true, applyDelay: '0s' },
  replication: { synchronous: { mode: 'any', durability: 'preferred' } },
  switchover: { maxLag: '16MB', timeout: '10s' },
  update: { primary: 'automatic' },
  failover: {
    mode: 'automatic',
    ttl: '5s',
    maxLag: '16MB',
    delay: '0s',
    priorities: {},
    failback: 'hold',
    failbackAfter: '5m',
  },
  archive: { compression: 'zstd', timeout: '5m' },
  deletionPolicy: 'retain',
  backup: {
    drill: { timeZone: 'UTC' },
    schedules: { timeZone: 'UTC', method: 'base', incremental: false, suspend: false },
  },
} as const;
