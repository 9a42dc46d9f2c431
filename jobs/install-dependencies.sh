#!/usr/bin/env bash
# Installs what hdap needs on Debian 12, and nothing that is there already.
#
#   jobs/install-dependencies.sh          to build and run hdap
#   jobs/install-dependencies.sh tests    and to run all its tests
#
# As root, or with sudo. Afterwards no network is needed.
set -euo pipefail
cd "$(dirname "$0")/.."

packages=(
    g++ cmake ninja-build git ca-certificates
    libopenmpi-dev openmpi-bin libhdf5-openmpi-dev
    libtorch-dev
    libopenblas0-pthread # without it LibTorch's matrix products are about 30 times slower
    libxgboost-dev xgboost # XGBoost's CMake files refer to the executable
    libeigen3-dev libnanoflann-dev libssl-dev zlib1g-dev
    libtomlplusplus-dev libcli11-dev libspdlog-dev libfmt-dev nlohmann-json3-dev libstb-dev
    libonnx-dev libprotobuf-dev
    dataset-fashion-mnist
)
if [[ "${1:-}" == tests ]]; then
    packages+=(catch2 libpagmo-dev chromium python3-h5py slurm-wlm munge shellcheck)
elif [[ $# -gt 0 ]]; then
    echo "usage: jobs/install-dependencies.sh [tests]" >&2
    exit 2
fi
# npm brings ECharts for the report. Any npm will do.
command -v npm >/dev/null || packages+=(npm)

missing=()
for package in "${packages[@]}"; do
    status=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
    [[ "$status" == installed ]] || missing+=("$package")
done
if [[ ${#missing[@]} -gt 0 ]]; then
    echo "installing: ${missing[*]}"
    as_root=()
    if [[ $(id -u) -ne 0 ]]; then
        command -v sudo >/dev/null || { echo "run this as root, or install sudo" >&2; exit 1; }
        as_root=(sudo)
    fi
    "${as_root[@]}" apt-get update -q
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -q --no-install-recommends "${missing[@]}"
fi

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
