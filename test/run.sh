#!/usr/bin/env bash
# `npm test`: every test, the real Swarm included, on a machine that has nothing but Node and root.
# The last line says `N passed, N failed`.
set -euo pipefail
cd "$(dirname "$0")/.."
. test/bootstrap.sh

# PostgreSQL's commands for the WAL archive speak through socat; git serves its own tests.
if ! { command -v socat && command -v git; } > /dev/null && [ "$(id -u)" = 0 ] && command -v apt-get > /dev/null; then
  apt-get update -qq || true
  apt-get install -y -qq --no-install-recommends socat git > /dev/null || true
fi
# The web page is tried in a real browser.
if ! command -v chromium > /dev/null && [ "$(id -u)" = 0 ] && command -v apt-get > /dev/null; then
  apt-get update -qq || true
  apt-get install -y -qq --no-install-recommends chromium > /dev/null || true
fi

# Prometheus checks the alerts and asks for the metrics. Unpacked, not installed: no service is started.
prometheus=.build/prometheus
if ! command -v prometheus > /dev/null && [ ! -x $prometheus/usr/bin/promtool ] && command -v apt-get > /dev/null; then
  mkdir -p $prometheus
  (
    cd $prometheus
    apt-get download -qq prometheus || { apt-get update -qq && apt-get download -qq prometheus; }
    dpkg -x prometheus_*.deb .
    rm prometheus_*.deb
  ) 2> /dev/null || true
fi

npx --no-install prettier --check --log-level warn .
npx --no-install eslint .
npx --no-install tsc
npx --no-install tsc -p src/page
npm run --silent build

status=0
rm -rf .build/summaries
suite() { # NAME SPEC...
  local name=$1
  shift
  PGSWARM_SUITE=$name npx --no-install mocha --no-config --extension ts --forbid-only \
    --require ts-node/register/transpile-only --reporter test/support/reporter.cjs "$@" || status=1
}

# Real servers mostly wait: every second file of them beside the others.
integration() {
  local log=.build/integration.log
  (
    suite integration-1 $(ls test/integration/*.test.ts | awk 'NR % 2 == 1')
    exit "$status"
  ) > $log 2>&1 &
  suite integration-2 $(ls test/integration/*.test.ts | awk 'NR % 2 == 0')
  wait $! || status=1
  cat $log
}

suite fast 'test/{unit,golden,tidy}/**/*.test.ts'
suite page 'test/page/*.test.ts'
PGSWARM_SIM_SEEDS=5000 suite simulation 'test/sim/*.test.ts'
npm run --silent lab -- up --name test
# The adapters are tried against the lab's Swarm; the end-to-end tests find it by its name.
(
  eval "$(npm run --silent lab -- env --name test)"
  status=0
  integration
  exit "$status"
) || status=1
suite e2e 'test/e2e/**/*.test.ts'

# What the tests started is stopped again; a kept lab is for looking at a failure.
[ -n "${PGSWARM_KEEP_LAB:-}" ] || npm run --silent lab -- down --name test
awk '{ passed += $1; failed += $3; skipped += $5 }
  END { printf "%d passed, %d failed", passed, failed
        if (skipped) printf ", %d skipped", skipped
        print "" }' .build/summaries/*
exit "$status"
