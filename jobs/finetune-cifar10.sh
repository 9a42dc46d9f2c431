#!/usr/bin/env bash
# Prunes a network trained on CIFAR-10 to half its multiply-accumulates, the same width everywhere,
# and fine-tunes it with and without distillation. docs/results.md has what came out.
#
#   jobs/finetune-cifar10.sh NETWORK WEIGHTS [EPOCHS [SEEDS [FOLDER]]]
#   jobs/finetune-cifar10.sh resnet20 resnet20-cifar10.h5 20 "1 2 3" runs/resnet20
#
# Each training goes on where it was stopped when the same command is called again; one that is done
# is said to be complete. Other epochs or weights want another FOLDER. It uses all cores, or the
# ranks of LAUNCHER: LAUNCHER="srun -n 8" jobs/… DISTILLATION="0.9 0.5 0" names other shares.
set -euo pipefail

if [[ $# -lt 2 || $# -gt 5 || "$1" == -* ]]; then
    sed -n '2,10s/^# \{0,1\}//p' "$0" >&2
    exit 2
fi
network=$1
weights=$2
epochs=${3:-20}
seeds=${4:-1 2 3}
folder=${5:-runs/finetune-$network}
repository=$(cd "$(dirname "$0")/.." && pwd)
hdap=${HDAP_PROGRAM:-$repository/build/release/bin/hdap}
data=${HDAP_CIFAR10:-$repository/data/cache/cifar10.h5}

if [[ ! -e "$data" ]]; then
    "$repository/data/get-cifar10.sh" "$(dirname "$data")"
    data=$(dirname "$data")/cifar10.h5
fi
mkdir -p "$folder"
half=$folder/half.h5
"$hdap" network prune "$network" --weights "$weights" --macs 0.5 --data "$data" --out "$half"
for seed in $seeds; do
    for distillation in ${DISTILLATION:-0.9 0}; do
        ${LAUNCHER:-} "$hdap" train "$half" --data "$data" --held-out 0 \
            --epochs "$epochs" --batch 128 --learning-rate 0.05 --seed "$seed" \
            --teacher "$network" --teacher-weights "$weights" --distillation "$distillation" \
            --out "$folder/distillation-$distillation-seed-$seed.h5"
    done
done
