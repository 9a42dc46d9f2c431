#!/usr/bin/env bash
# The main job in small, from nothing: installs what is missing, builds hdap, packs Fashion-MNIST,
# runs configs/quickstart.toml on two MPI ranks, prints the front and says where the report is.
# A second call continues what was interrupted, or says that the study is complete.
set -euo pipefail
cd "$(dirname "$0")/.."

jobs/install-dependencies.sh
cmake --preset release
cmake --build --preset release --target hdap

hdap=build/release/bin/hdap
images=data/cache/fashion-mnist.h5
if [[ ! -e "$images" ]]; then
    mkdir -p data/cache
    "$hdap" data pack fashion-mnist /usr/share/datasets/fashion-mnist "$images"
fi

# Open MPI wants to be told that root may use it, and more ranks than cores are allowed here.
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
mpirun --quiet --oversubscribe -n 2 "$hdap" run configs/quickstart.toml
