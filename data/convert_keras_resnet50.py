#!/usr/bin/env python3
"""Converts ResNet50's ImageNet weights, as Keras made them and TensorFlow.js stores them (a JSON
manifest and float32 shards), to hdap's layout for its network `resnet50_v1`.

    convert_keras_resnet50.py FOLDER_WITH_MODEL_JSON OUTPUT.h5

Kernels become [out, in, height, width]. The network was trained on images in the order blue, green,
red; the first convolution's weights are put in the order red, green, blue, so that images need not
be turned. The means that are subtracted from the pixels are told in the file's attributes.
"""

import json
import re
import sys
from pathlib import Path

import h5py
import numpy as np

# Of pixels from 0 to 255, red, green, blue; see Keras' preprocessing in its mode "caffe".
MEAN = np.array([123.68, 116.779, 103.939])

BATCH_NORM = {"gamma": "weight", "beta": "bias", "moving_mean": "running_mean",
              "moving_variance": "running_var"}
PLACES = {"2a": "conv1", "2b": "conv2", "2c": "conv3", "1": "downsample.0"}
NORM_PLACES = {"2a": "bn1", "2b": "bn2", "2c": "bn3", "1": "downsample.1"}


def read_tensors(folder):
    """The tensors of a TensorFlow.js layers model, by Keras' names."""
    tensors = {}
    for group in json.loads((folder / "model.json").read_text())["weightsManifest"]:
        data = b"".join((folder / path).read_bytes() for path in group["paths"])
        at = 0
        for entry in group["weights"]:
            if entry["dtype"] != "float32" or "quantization" in entry:
                sys.exit(f"{folder}: {entry['name']} is not stored as float32")
            count = int(np.prod(entry["shape"]))
            values = np.frombuffer(data, "<f4", count, at)
            tensors[entry["name"]] = values.reshape(entry["shape"])
            at += 4 * count
        if at != len(data):
            sys.exit(f"{folder}: the shards hold {len(data)} bytes, the manifest tells {at}")
    return tensors


def layer_name(keras):
    """'res3b_branch2a' is 'layer2.1.conv1', and 'bn3b_branch2a' its batch norm."""
    fixed = {"conv1": "conv1", "bn_conv1": "bn1", "fc1000": "fc"}
    if keras in fixed:
        return fixed[keras]
    found = re.fullmatch(r"(res|bn)([2-5])([a-f])_branch(1|2[abc])", keras)
    if not found:
        sys.exit(f"layer {keras} is none of ResNet50's")
    kind, stage, block, branch = found.groups()
    place = (PLACES if kind == "res" else NORM_PLACES)[branch]
    return f"layer{int(stage) - 1}.{ord(block) - ord('a')}.{place}"


def convert(tensors):
    """The same tensors by PyTorch's names and in its layouts."""
    weights = {}
    for name, values in tensors.items():
        keras, kind = name.split("/")
        layer = layer_name(keras)
        if kind == "kernel" and values.ndim == 4:
            values = values.transpose(3, 2, 0, 1)
        elif kind == "kernel":
            values = values.T
        if name == "conv1/kernel":
            values = values[:, ::-1]
        suffix = BATCH_NORM.get(kind, "bias" if kind == "bias" else "weight")
        weights[f"{layer}.{suffix}"] = np.ascontiguousarray(values)
    return weights


def main(folder, output):
    weights = convert(read_tensors(Path(folder)))
    with h5py.File(output, "w") as file:
        file.attrs["schema"] = "hdap-weights/1"
        file.attrs["network"] = "resnet50_v1"
        file.attrs["width"] = 1.0
        file.attrs["normalize_mean"] = MEAN / 255
        file.attrs["normalize_std"] = np.full(3, 1 / 255)
        for name, values in weights.items():
            file["parameters/" + name] = values
    print(f"{len(weights)} tensors, {sum(v.size for v in weights.values())} numbers")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(sys.argv[1], sys.argv[2])
