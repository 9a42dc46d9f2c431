#!/usr/bin/env bash
# Builds hdap with the compiler and the libraries of Debian 13, in a root folder of its own, and runs
# the unit tests, the MPI tests and the quickstart there. The quickstart's front must have the same
# bytes as that of build/release/bin/hdap, where there is one. It is not fine-tuned: training is
# LibTorch's arithmetic, which is another one in each version.
#
#   jobs/test-on-debian13.sh            in a temporary folder
#   jobs/test-on-debian13.sh FOLDER     in FOLDER, which stays: the next call builds what changed
#
# As root. Says "skipped: " and why where such a folder cannot be made: without root's rights,
# namespaces, mmdebstrap or Debian's packages.
set -euo pipefail
cd "$(dirname "$0")/.."

skip() {
    echo "skipped: Debian 13: $1"
    exit 0
}
[[ $(id -u) -eq 0 ]] || skip "only root can make a root folder"
command -v mmdebstrap >/dev/null || skip "mmdebstrap is missing"
unshare --mount --pid --fork true 2>/dev/null || skip "namespaces are not allowed here"
# shellcheck disable=SC2016 # the names are apt's
mirror=$(apt-get indextargets --format '$(REPO_URI) $(LABEL)' 'Created-By: Packages' |
    sed -n '/ Debian$/{s///p;q}')
[[ -n "$mirror" ]] || skip "apt knows no mirror of Debian's"

work=$(mktemp -d)
trap 'rm -rf --one-file-system "$work"' EXIT
root=${1:-$work/root}
if [[ ! -e "$root/etc/debian_version" ]]; then
    for folder in "$root" "$root.new"; do
        [[ ! -e "$folder" ]] || { echo "$folder is there, and no root folder: remove it" >&2; exit 2; }
    done
    # Under another name until it is whole.
    mmdebstrap --quiet --mode=root --variant=apt --dpkgopt=force-unsafe-io trixie "$root.new" \
        "$mirror" || skip "its packages cannot be had from $mirror"
    mv "$root.new" "$root"
fi
cp /etc/resolv.conf "$root/etc/"
mkdir -p "$root/hdap"
# By content: a file that is older than what was built from another version of it counts as changed.
while IFS= read -r -d '' file; do
    cmp -s "$file" "$root/hdap/$file" || cp --parents "$file" "$root/hdap"
done < <(git ls-files -z)

build_and_test() {
    jobs/install-dependencies.sh unit-tests
    cmake --preset release -DHDAP_BUILD_BENCH=OFF
    cmake --build --preset release --target hdap hdap_unit_tests
    ctest --preset release --parallel "$(nproc)" -R '^(unit|mpi)\.'
}
run_quickstart() { # FOLDER
    local hdap=build/release/bin/hdap images=data/cache/fashion-mnist.h5
    mkdir -p data/cache
    [[ -e "$images" ]] || "$hdap" data pack fashion-mnist /usr/share/datasets/fashion-mnist "$images"
    OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 \
        mpirun --oversubscribe -n 2 "$hdap" run configs/quickstart.toml --out "$1" \
        --set finetune.candidates=0
}
in_root() { # ROOT COMMAND
    mount -t proc proc "$1/proc"
    mount --rbind /sys "$1/sys"
    mount --rbind /dev "$1/dev"
    exec chroot "$1" /usr/bin/env -i PATH="$PATH" HOME=/root LC_ALL=C.UTF-8 bash -euo pipefail -c "$2"
}
rm -rf "$root/quickstart"
functions=$(declare -f build_and_test run_quickstart in_root)
# The namespaces end with what runs in them, and with them the mounts.
unshare --mount --pid --fork --kill-child bash -euo pipefail -c "$functions; in_root \"\$@\"" bash \
    "$root" "$functions; cd /hdap; build_and_test; run_quickstart /quickstart"

if [[ -x build/release/bin/hdap ]]; then
    run_quickstart "$work/quickstart"
    cmp "$work/quickstart/front.csv" "$root/quickstart/front.csv"
    echo "Debian 13 finds the same front, byte by byte"
fi
