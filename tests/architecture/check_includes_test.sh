#!/usr/bin/env bash
# Shows that check_includes.sh fails for each kind of forbidden include, and passes without one.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
printf 'core:\nfleet: core\nsearch: fleet\n' >"$folder/modules.txt"

# expect STATUS FILE INCLUDE: a project whose only include is INCLUDE in FILE.
expect() {
    rm -rf "$folder/project"
    mkdir -p "$folder/project/$(dirname "$2")" "$folder/project/include" "$folder/project/src"
    printf '#include %s\n' "$3" >"$folder/project/$2"
    status=0
    "$here/check_includes.sh" "$folder/project" "$folder/modules.txt" >/dev/null 2>&1 || status=1
    [[ $status -eq $1 ]] || { echo "$2 with $3: expected $1, got $status" >&2; exit 1; }
}

expect 0 src/search/a.cpp '"hdap/core/error.hpp"'
expect 0 src/accuracy/a_torch.cpp '<torch/torch.h>'
expect 1 src/core/a.cpp '"hdap/fleet/fleet.hpp"'
expect 1 include/hdap/fleet/a.hpp '"hdap/search/nsga2.hpp"'
expect 1 include/hdap/fleet/a.hpp '<hdf5.h>'
expect 1 src/search/a.cpp '<ATen/ATen.h>'
expect 0 src/fleet/a.cpp '"fleet/import/a.hpp"'
expect 1 src/search/a.cpp '"fleet/import/a.hpp"'
echo "the check tells forbidden includes from allowed ones"
