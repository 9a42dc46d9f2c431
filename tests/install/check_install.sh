#!/usr/bin/env bash
# Installs a build into an empty folder, and builds and runs a project that uses it from there.
#
#   check_install.sh BUILD_FOLDER CONSUMER_FOLDER
set -euo pipefail
build_folder=$1
consumer=$2
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

# Shows what a command prints only when it fails.
quietly() {
    "$@" >"$folder/log" 2>&1 || { cat "$folder/log" >&2; exit 1; }
}

quietly cmake --install "$build_folder" --prefix "$folder/root"
"$folder/root/bin/hdap" --version
quietly cmake -S "$consumer" -B "$folder/build" -G Ninja -DCMAKE_BUILD_TYPE=Release \
    -DCMAKE_PREFIX_PATH="$folder/root"
quietly cmake --build "$folder/build"
"$folder/build/consumer"
