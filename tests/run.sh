#!/usr/bin/env bash
# Installs what is missing, builds everything, runs every test and ends with CTest's summary.
#
#   tests/run.sh                 all tests
#   tests/run.sh -L unit         arguments go to ctest: only the unit tests
#   tests/run.sh -R fleet        only tests whose name matches
#
# With CI=true warnings are errors.
set -euo pipefail
cd "$(dirname "$0")/.."

jobs/install-dependencies.sh tests
cmake --preset release -DHDAP_WARNINGS_AS_ERRORS="$([[ "${CI:-}" == true ]] && echo ON || echo OFF)"
cmake --build --preset release
ctest --preset release --parallel "$(nproc)" "$@"
