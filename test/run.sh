#!/usr/bin/env bash
# `npm test`: every test, the real Swarm included, on a machine that has nothing but Node and root.
# The last line says `N passed, N failed`.
set -euo pipefail
cd "$(dirname "$0")/.."
. test/bootstrap.sh

npx --no-install prettier --check --log-level warn .
npx --no-install eslint .
npm run --silent build
npx --no-install tsc

status=0
npx --no-install mocha --reporter test/support/reporter.cjs \
  --spec 'test/{integration,e2e}/**/*.test.ts' "$@" || status=$?

# What the tests started is stopped again; a kept lab is for looking at a failure.
if [ -z "${PGSWARM_KEEP_LAB:-}" ]; then npm run --silent lab -- down --name test; fi
cat .build/summary.txt
exit "$status"
