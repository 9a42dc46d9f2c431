#!/usr/bin/env bash
# Fails when a module includes what it may not.
#
#   check_includes.sh SOURCE_FOLDER MODULE_TABLE
#
# MODULE_TABLE has a line "module: used module …" for each module, lowest first. A module may
# include itself, those it uses, and what these use in turn. Heavy third-party headers stay out of
# public headers, and LibTorch inside files that end in _torch.cpp or _torch.hpp.
set -euo pipefail
source_folder=$1
table=$2
failures=0

fail() {
    echo "$1" >&2
    failures=$((failures + 1))
}

declare -A allowed
while IFS=': ' read -r module used; do
    reachable=" $module "
    for name in $used; do reachable+="${allowed[$name]}"; done
    allowed[$module]=$reachable
done <"$table"

for module in "${!allowed[@]}"; do
    while IFS=: read -r file line included; do
        name=${included#*\"hdap/}
        name=${name%%/*}
        [[ "${allowed[$module]}" == *" $name "* ]] ||
            fail "$file:$line: module '$module' may not include '$name' (allowed:${allowed[$module]})"
    done < <(grep -rnE '#include "hdap/[a-z_]+/' "$source_folder/include/hdap/$module" \
        "$source_folder/src/$module" 2>/dev/null || true)
done

# A private header of another module.
for module in "${!allowed[@]}"; do
    while IFS=: read -r file line included; do
        name=${included#*\"}
        name=${name%%/*}
        [[ "$name" == "$module" || -z "${allowed[$name]:-}" ]] ||
            fail "$file:$line: module '$module' may not include a private header of '$name'"
    done < <(grep -rnE '#include "[a-z_]+/' "$source_folder/src/$module" 2>/dev/null || true)
done

while IFS=: read -r file line included; do
    fail "$file:$line: a public header may not have $included"
done < <(grep -rnE '#include [<"](torch/|ATen/|c10/|mpi\.h|hdf5\.h|xgboost/|CLI/|toml|openssl/)' \
    "$source_folder/include" 2>/dev/null || true)

while IFS=: read -r file line included; do
    [[ "$file" == *_torch.cpp || "$file" == *_torch.hpp ]] ||
        fail "$file:$line: LibTorch belongs in *_torch.cpp"
done < <(grep -rnE '#include [<"](torch/|ATen/|c10/)' "$source_folder/src" "$source_folder/bench" \
    2>/dev/null || true)

[[ $failures -eq 0 ]] || { echo "$failures forbidden includes" >&2; exit 1; }
echo "${#allowed[@]} modules include only what they may"
