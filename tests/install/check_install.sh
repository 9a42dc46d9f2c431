#!/usr/bin/env bash
# Installs a build into an empty folder, and builds and runs a project that uses it from there.
#
#   check_install.sh BUILD_FOLDER CONSUMER_FOLDER
set -euo pipefail
build_folder=$1
consumer=$2
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cmake --install "$build_folder" --prefix "$folder/root" >/dev/null
"$folder/root/bin/hdap" --version
cmake -S "$consumer" -B "$folder/build" -G Ninja -DCMAKE_BUILD_TYPE=Release \
    -DCMAKE_PREFIX_PATH="$folder/root" >/dev/null
cmake --build "$folder/build" >/dev/null
"$folder/build/consumer"
