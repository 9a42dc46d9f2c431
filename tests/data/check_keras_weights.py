#!/usr/bin/env python3
"""Checks data/convert_keras_resnet50.py on a made-up model of Keras' names and layouts.

    check_keras_weights.py HDAP_PROGRAM CONVERTER
"""

import json
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

try:
    import h5py
    import numpy as np
except ModuleNotFoundError as missing:
    print(f"skipped: Python has no {missing.name}")
    sys.exit(4)

KINDS = {"weight": "gamma", "bias": "beta", "running_mean": "moving_mean",
         "running_var": "moving_variance"}


def keras_name(name):
    """'layer2.1.conv1.weight' is 'res3b_branch2a/kernel'."""
    layer, kind = name.rsplit(".", 1)
    is_norm = layer.split(".")[-1].startswith("bn") or layer.endswith("downsample.1")
    kind = KINDS[kind] if is_norm else {"weight": "kernel", "bias": "bias"}[kind]
    fixed = {"conv1": "conv1", "bn1": "bn_conv1", "fc": "fc1000"}
    if layer in fixed:
        return f"{fixed[layer]}/{kind}"
    stage, block, part = layer.split(".", 2)
    branch = "1" if part.startswith("downsample") else "2" + "abc"[int(part[-1]) - 1]
    letter = "abcdef"[int(block)]
    return f"{'bn' if is_norm else 'res'}{int(stage[5:]) + 1}{letter}_branch{branch}/{kind}"


class KerasWeights(unittest.TestCase):
    def test_all_tensors_arrive_by_name_and_layout(self):
        known = json.loads(subprocess.run(
            [self.program, "network", "info", "resnet50_v1", "--width", "0.125", "--image-size",
             "32", "--classes", "5", "--json"], check=True, capture_output=True).stdout)["weights"]
        random = np.random.default_rng(1)
        expected = {name: random.random(shape, dtype="float32") for name, shape in known.items()}
        with tempfile.TemporaryDirectory() as folder:
            self.write_model(Path(folder), expected)
            output = Path(folder, "weights.h5")
            subprocess.run([sys.executable, self.converter, folder, output], check=True,
                           capture_output=True)
            with h5py.File(output) as file:
                found = {name: data[:] for name, data in file["parameters"].items()}
                self.assertEqual(file.attrs["schema"], "hdap-weights/1")
                # Red, green, blue.
                np.testing.assert_allclose(file.attrs["normalize_mean"] * 255,
                                           [123.68, 116.779, 103.939])
                np.testing.assert_allclose(file.attrs["normalize_std"] * 255, [1, 1, 1])
        self.assertEqual(set(found), set(expected))
        for name, values in expected.items():
            np.testing.assert_array_equal(found[name], values, name)

    @staticmethod
    def write_model(folder, weights):
        """As TensorFlow.js stores a model: HWIO kernels, blue first, in two shards."""
        entries, data = [], b""
        for name, values in weights.items():
            if name == "conv1.weight":
                values = values[:, ::-1]
            if values.ndim == 4:
                values = values.transpose(2, 3, 1, 0)
            elif values.ndim == 2:
                values = values.T
            entries.append({"name": keras_name(name), "shape": values.shape, "dtype": "float32"})
            data += np.ascontiguousarray(values).tobytes()
        half = len(data) // 2
        (folder / "shard1").write_bytes(data[:half])
        (folder / "shard2").write_bytes(data[half:])
        (folder / "model.json").write_text(json.dumps(
            {"weightsManifest": [{"paths": ["shard1", "shard2"], "weights": entries}]}))


if __name__ == "__main__":
    KerasWeights.program, KerasWeights.converter = sys.argv[1:3]
    unittest.main(argv=[sys.argv[0], *sys.argv[3:]])
