#!/usr/bin/env bash
# Kills, stops and damages a small study at random, N times, lets it go on each time, on other
# numbers of ranks and threads, and compares its result with that of an undisturbed study, bit for
# bit. Ends with 1 when a single result is lost or differs. See docs/reliability.md.
#
#   jobs/fault-campaign.sh 20          20 rounds
#   jobs/fault-campaign.sh 10 101      rounds 101 to 110: a round is the same each time
set -euo pipefail
cd "$(dirname "$0")/.."

if [[ $# -lt 1 || $# -gt 2 ]]; then
    echo "usage: jobs/fault-campaign.sh ROUNDS [FIRST]" >&2
    exit 2
fi
jobs/install-dependencies.sh tests
cmake --preset release >/dev/null
cmake --build --preset release --target fault_campaign
exec build/release/tests/fault_campaign "$@"
