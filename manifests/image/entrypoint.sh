#!/bin/bash
# Starts pgswarm. Before an instance manager starts, it takes the exclusive lock on the data volume.
#
# Swarm can start a replacement while the old container still runs on the same volume, and
# PostgreSQL's own interlock does not see across containers. The lock is held through an open file
# that this shell hands on by exec: it lives exactly as long as the instance manager and every
# process below it, and the kernel lets go of it when the last of them is gone.
set -eu

data=${PGSWARM_DATA_DIR:-/var/lib/pgswarm/data}
lock=$data/.lock

# One JSON line on standard output, in the shape of the program's own log.
log() {
  printf '{"level":"%s","message":"%s","path":"%s","timestamp":"%s"}\n' \
    "$1" "$2" "$lock" "$(date -u +%Y-%m-%dT%H:%M:%S.000Z)"
}

# The instance manager starts without the lock only to report why; it must refuse to start
# PostgreSQL while PGSWARM_VOLUME_PROBLEM is set.
report() {
  PGSWARM_VOLUME_PROBLEM=$1
  export PGSWARM_VOLUME_PROBLEM
  log error "$1"
}

unset PGSWARM_VOLUME_PROBLEM

if [ "${1:-}" = instance ]; then
  if [ ! -d "$data" ]; then
    report "There is no data volume at $data: mount one there."
  elif ! (: >> "$lock") 2> /dev/null; then
    owner=$(stat -c '%U (%u:%g), mode %a' "$data" 2> /dev/null || echo unknown)
    report "$data cannot be written by user $(id -un) ($(id -u):$(id -g)): its owner is $owner. Run chown -R $(id -u):$(id -g) on the volume, or use a new volume."
  else
    # A number far above the first free ones: Node marks the low descriptors that it inherits as
    # not to be inherited, and the children of the instance manager must hold the lock too.
    exec 200>> "$lock"
    if ! flock --exclusive --nonblock 200; then
      log warn "Another container still uses the data volume; waiting until it lets go of it"
      flock --exclusive 200
      log info "The other container has let go of the data volume"
    fi
    PGSWARM_LOCK_FD=200
    export PGSWARM_LOCK_FD
  fi
fi

exec pgswarm "$@"
