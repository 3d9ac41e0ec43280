#!/bin/sh
# wal-command.sh SOCKET archive|restore|recover NAME PATH
#
# PostgreSQL's archive_command and restore_command: asks the instance manager, and waits for its
# answer, a line `<exit status> <words>`. `recover` is `restore` for a recovery that ends where the
# WAL ends: there an answer that is missing must not be taken for the end, and a status above 125
# breaks the recovery off.
socket=$1 verb=$2 name=$3 path=$4

# Longer than the slowest disk takes. PostgreSQL asks again.
patience=60

case $path in
  /*) ;;
  *) path=$PWD/$path ;;
esac

# shut-none: the instance manager sees the connection end when this script does, and not before.
answer=$(socat -t "$patience" - "UNIX-CONNECT:$socket,shut-none" 2>&1 << END
$verb $name $path
END
)

status=${answer%% *}
words=${answer#"$status"}
case $status in
  '' | *[!0-9]*)
    words=" the instance manager does not answer at $socket ${answer:+($answer)}"
    status=1
    [ "$verb" = recover ] && status=130
    ;;
esac
[ -z "${words# }" ] || echo "$verb $name:$words" >&2
exit "$status"
