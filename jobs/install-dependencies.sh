#!/usr/bin/env bash
# Installs what hdap needs on Debian 12 or newer, and nothing that is there already.
#
#   jobs/install-dependencies.sh               to build and run hdap
#   jobs/install-dependencies.sh tests         and to run all its tests
#   jobs/install-dependencies.sh unit-tests    to build and run hdap and its unit tests, without npm:
#                                              reports have tables but no charts
#
# As root, or with sudo. Afterwards no network is needed.
set -euo pipefail
cd "$(dirname "$0")/.."

packages=(
    g++ cmake ninja-build git ca-certificates
    libopenmpi-dev openmpi-bin libhdf5-openmpi-dev
    libtorch-dev
    libopenblas0-pthread # without it LibTorch's matrix products are about 30 times slower
    libxgboost-dev
    libeigen3-dev libssl-dev zlib1g-dev
    libtomlplusplus-dev libcli11-dev libspdlog-dev libfmt-dev nlohmann-json3-dev libstb-dev
    libonnx-dev libprotobuf-dev
    dataset-fashion-mnist
)
case "${1:-}" in
    "") ;;
    unit-tests) packages+=(catch2) ;;
    tests) packages+=(catch2 libpagmo-dev chromium python3-h5py python3-sklearn slurm-wlm munge shellcheck mmdebstrap) ;;
    *)
        echo "usage: jobs/install-dependencies.sh [tests | unit-tests]" >&2
        exit 2
        ;;
esac
# npm brings ECharts for the report. Any npm will do.
[[ "${1:-}" == unit-tests ]] || command -v npm >/dev/null || packages+=(npm)

install_missing() {
    local missing=() as_root=() package status
    for package in "$@"; do
        status=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
        [[ "$status" == installed ]] || missing+=("$package")
    done
    [[ ${#missing[@]} -gt 0 ]] || return 0
    echo "installing: ${missing[*]}"
    if [[ $(id -u) -ne 0 ]]; then
        command -v sudo >/dev/null || { echo "run this as root, or install sudo" >&2; exit 1; }
        as_root=(sudo)
    fi
    "${as_root[@]}" apt-get update -q
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -q --no-install-recommends "${missing[@]}"
}
install_missing "${packages[@]}"
# Debian 12's CMake files of XGBoost refer to the executable, which is not in Debian 13.
if grep -qs '/bin/xgboost"' /usr/lib/*/cmake/xgboost/*.cmake; then
    install_missing xgboost
fi

[[ "${1:-}" != unit-tests ]] || exit 0
if [[ "${1:-}" == tests ]]; then
    wanted=(node_modules/playwright-core node_modules/onnxruntime-node)
    omit=()
else
    wanted=(node_modules/echarts/dist/echarts.min.js)
    omit=(--omit=dev)
fi
for file in "${wanted[@]}"; do
    [[ -e "$file" ]] || { npm ci --ignore-scripts --no-audit --no-fund "${omit[@]}"; break; }
done
