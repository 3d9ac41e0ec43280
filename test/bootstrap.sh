#!/usr/bin/env bash
# Installs the packages of the lock file when they are not there; with arguments, runs them then.
set -euo pipefail
stamp=node_modules/.package-lock.json
if [ ! -e "$stamp" ] || [ package-lock.json -nt "$stamp" ]; then
  echo "installing the packages of package-lock.json …" >&2
  npm ci --no-audit --no-fund --loglevel=error >&2
  touch "$stamp"
fi
[ $# -eq 0 ] || exec npx --no-install "$@"
