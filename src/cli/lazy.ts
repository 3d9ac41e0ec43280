/**
 * Loads a command's implementation when it is called: most of the time that `pgswarm status` takes
 * before it does anything is for modules that it does not need.
 */
/* eslint-disable @typescript-eslint/no-require-imports -- in CommonJS `import()` wants file endings, and those of src and dist differ */
import type * as Apply from './commands/apply';
import type * as Archive from './commands/archive';
import type * as Backup from './commands/backup';
import type * as Complete from './commands/complete';
import type * as Completion from './completion';
import type * as Connect from './commands/connect';
import type * as Delete from './commands/delete';
import type * as Drill from './commands/drill';
import type * as Events from './commands/events';
import type * as Fence from './commands/fence';
import type * as Load from './commands/load';
import type * as Logs from './commands/logs';
import type * as Page from './commands/page';
import type * as Pause from './commands/pause';
import type * as Plan from './commands/plan';
import type * as Promote from './commands/promote';
import type * as Psql from './commands/psql';
import type * as Reclone from './commands/reclone';
import type * as Report from './commands/report';
import type * as Restart from './commands/restart';
import type * as Restore from './commands/restore';
import type * as Simulate from './commands/simulate';
import type * as Status from './commands/status';
import type * as Validate from './commands/validate';
import type * as Why from './commands/why';
import type * as Access from './swarm-access';
import { type SwarmAccess } from './ports';

export const lazy = {
  apply: (): typeof Apply => require('./commands/apply') as typeof Apply,
  archive: (): typeof Archive => require('./commands/archive') as typeof Archive,
  backup: (): typeof Backup => require('./commands/backup') as typeof Backup,
  complete: (): typeof Complete => require('./commands/complete') as typeof Complete,
  completion: (): typeof Completion => require('./completion') as typeof Completion,
  connect: (): typeof Connect => require('./commands/connect') as typeof Connect,
  delete: (): typeof Delete => require('./commands/delete') as typeof Delete,
  drill: (): typeof Drill => require('./commands/drill') as typeof Drill,
  events: (): typeof Events => require('./commands/events') as typeof Events,
  fence: (): typeof Fence => require('./commands/fence') as typeof Fence,
  load: (): typeof Load => require('./commands/load') as typeof Load,
  logs: (): typeof Logs => require('./commands/logs') as typeof Logs,
  page: (): typeof Page => require('./commands/page') as typeof Page,
  pause: (): typeof Pause => require('./commands/pause') as typeof Pause,
  plan: (): typeof Plan => require('./commands/plan') as typeof Plan,
  promote: (): typeof Promote => require('./commands/promote') as typeof Promote,
  psql: (): typeof Psql => require('./commands/psql') as typeof Psql,
  reclone: (): typeof Reclone => require('./commands/reclone') as typeof Reclone,
  report: (): typeof Report => require('./commands/report') as typeof Report,
  restart: (): typeof Restart => require('./commands/restart') as typeof Restart,
  restore: (): typeof Restore => require('./commands/restore') as typeof Restore,
  simulate: (): typeof Simulate => require('./commands/simulate') as typeof Simulate,
  status: (): typeof Status => require('./commands/status') as typeof Status,
  validate: (): typeof Validate => require('./commands/validate') as typeof Validate,
  why: (): typeof Why => require('./commands/why') as typeof Why,
};

/** Docker's client is the largest of all. */
export const openSwarm = (): SwarmAccess =>
  (require('./swarm-access') as typeof Access).openSwarm();
