#!/usr/bin/env bash
# Fails when a public header does not compile alone.
#
#   check_headers.sh COMPILER SOURCE_FOLDER BUILD_FOLDER
#
# A header that its own source file includes before anything else was shown to do so by the build,
# unless that file is compiled with a precompiled header, as those of cli are.
set -euo pipefail
compiler=$1
source_folder=$2
build_folder=$3
cd "$source_folder/include"

shown_by_build() {
    local module=${1#hdap/} file
    module=${module%%/*}
    [[ $module != cli ]] || return 1
    while read -r file; do
        [[ $(grep -m 1 '^#include' "$file") != "#include \"$1\"" ]] || return 0
    done < <(find "../src/$module" -name "$(basename "$1" .hpp).cpp")
    return 1
}

headers=()
while read -r header; do
    shown_by_build "$header" || headers+=("$header")
done < <(find hdap -name '*.hpp' | sort)
printf '%s\n' "${headers[@]}" | xargs -P "$(nproc)" -I{} \
    "$compiler" -std=c++20 -fsyntax-only -Wall -Wextra -Wpedantic -Werror -x c++ \
    -I. -I"$build_folder/include" -isystem /usr/include/eigen3 -include {} /dev/null
echo "$(find hdap -name '*.hpp' | wc -l) headers compile alone, ${#headers[@]} of them tried here"
