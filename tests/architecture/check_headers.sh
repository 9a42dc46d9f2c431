#!/usr/bin/env bash
# Fails when a public header does not compile alone.
#
#   check_headers.sh COMPILER SOURCE_FOLDER BUILD_FOLDER
set -euo pipefail
compiler=$1
source_folder=$2
build_folder=$3
cd "$source_folder/include"
find hdap -name '*.hpp' | sort | xargs -P "$(nproc)" -I{} \
    "$compiler" -std=c++20 -fsyntax-only -Wall -Wextra -Wpedantic -Werror -x c++ \
    -I. -I"$build_folder/include" -isystem /usr/include/eigen3 -include {} /dev/null
echo "$(find hdap -name '*.hpp' | wc -l) headers compile alone"
