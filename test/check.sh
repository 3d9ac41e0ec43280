#!/usr/bin/env bash
# `npm run check`: format, lint, types and the fast tests, within a minute; the tests beside the rest.
set -euo pipefail
cd "$(dirname "$0")/.."
mkdir -p .build
bin=node_modules/.bin

(
  $bin/prettier --check --log-level warn --cache --cache-location .build/prettier .
  $bin/eslint --cache --cache-location .build/eslint --cache-strategy content .
  $bin/tsc --incremental --tsBuildInfoFile .build/tsc
  $bin/tsc -p src/page
) > .build/check.log 2>&1 &
rest=$!
status=0
$bin/mocha || status=1
wait $rest || status=1
cat .build/check.log
exit $status
