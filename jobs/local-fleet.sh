#!/usr/bin/env bash
# A fleet of real devices on this machine alone, from nothing to a verified network: measures the
# conditions of configs/local-conditions.toml as devices, clusters them, measures candidates,
# searches, fine-tunes, and measures what was found on all of them: the study of
# configs/local-fleet.toml, and the same with multiply-accumulates instead of latencies.
# A second call goes on where the first stopped. About 12 minutes on two cores; let the machine do
# nothing else meanwhile.
set -euo pipefail
cd "$(dirname "$0")/.."

hdap=build/release/bin/hdap
if [[ ! -x "$hdap" ]]; then
    jobs/install-dependencies.sh
    cmake --preset release
    cmake --build --preset release --target hdap
fi
images=data/cache/fashion-mnist.h5
if [[ ! -e "$images" ]]; then
    mkdir -p data/cache
    "$hdap" data pack fashion-mnist /usr/share/datasets/fashion-mnist "$images"
fi

study=configs/local-fleet.toml
conditions=configs/local-conditions.toml
folder=runs/local-fleet
mkdir -p "$folder"
for device in $(sed -n 's/^\[\(.*\)\]$/\1/p' "$conditions"); do
    [[ -e "$folder/measured-$device" ]] && continue
    "$hdap" fleet measure "$study" --set fleet.source=simulated --set fleet.file= \
        --sku "$(uname -m) machine" --conditions "$conditions" --device-id "$device" \
        --out "$folder/fleet.h5" --append --quiet
    touch "$folder/measured-$device"
done
"$hdap" fleet info "$folder/fleet.h5"

"$hdap" run "$study" --out "$folder/latency" --quiet
"$hdap" run "$study" --out "$folder/flops" --quiet --set study.name=local-fleet-flops \
    --set 'search.objectives=["flops", "accuracy_drop"]'
for run in latency flops; do
    echo "== searched by $run =="
    "$hdap" fleet verify "$folder/$run" --quiet
done

# Verifications of two studies lie minutes apart, in which a machine changes. So all of their networks
# once more, in interleaved rounds on each device: what the mean column says can be compared.
"$hdap" network export mobilenet_v1 --width 0.25 --classes 10 --channels 1 --image-size 28 \
    --weights data/mobilenet_v1-0.25-fashion-mnist.h5 --out "$folder/unpruned.onnx" >/dev/null
mkdir -p "$folder/interleaved"
for device in $(sed -n 's/^\[\(.*\)\]$/\1/p' "$conditions"); do
    "$hdap" network time "$folder/unpruned.onnx" "$folder"/{latency,flops}/networks/*.h5 --batch 64 \
        --rounds 8 --conditions "$conditions" --device "$device" \
        --csv "$folder/interleaved/$device.csv" --quiet >/dev/null
done
"$hdap" fleet import "$folder/interleaved/*.csv" "$folder/interleaved.h5" --sku "$(uname -m) machine"
"$hdap" fleet info "$folder/interleaved.h5"
