#!/usr/bin/env python3
"""Holds docs/file-formats.md against real files: every table, every Python block, the seal. Runs
the Python blocks of docs/ablations.md, too.

    check_file_formats.py HDAP DOCUMENT [unittest's arguments]

The blocks that write files run first. A tiny study then runs on the images and the weights that
they wrote, and the tables are compared with its files, both ways: what is in a file must be in the
document, and what the document promises must be in the file. Ends with 4 when h5py is missing;
blocks that need pandas or matplotlib are skipped where these are.
"""
import contextlib
import io
import json
import os
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import unittest
import zlib
from dataclasses import dataclass, field
from pathlib import Path

try:
    import h5py
    import numpy as np
except ModuleNotFoundError as missing:
    print(f"skipped: no {missing.name}; install python3-h5py")
    sys.exit(4)

WIDEST_LINE = 110  # of `hdap inspect`
CLASSES, CHANNELS, EXTENT = 3, 1, 16
SHAPE_OPTIONS = ["--width", "0.25", "--classes", str(CLASSES), "--channels", str(CHANNELS)]

STUDY = """
[study]
name = "tiny"
[fleet]
benchmarks = 3
batch = 4
runs = 2
[fleet.synthetic]
devices = 60
[network]
name = "mobilenet_v1"
width = 0.25
weights = "my-weights.h5"
[data]
file = "my-images.h5"
held_out = 40
evaluation_images = 40
recalibration_images = 20
batch = 20
[profile]
candidates = 12
runs = 2
[surrogate]
kind = "gbrt"
trees = 5
[search]
population = 6
generations = 2
constraints = ["flops <= 0.6x", "latency.sla(33ms) <= 1", "accuracy_drop <= 1",
               "accuracy_drop.relative <= 1", "pruning_loss <= 10"]
[finetune]
candidates = 1
images = 40
batch = 20
[run]
checkpoint_seconds = 0.01
"""

RECORDED_STUDY = """
[study]
name = "recorded"
[fleet]
source = "recorded"
benchmarks = 3
[fleet.recorded]
file = "recorded.csv"
sku = "Jetson Xavier NX"
[network]
name = "mobilenet_v1"
width = 0.25
[surrogate]
kind = "gbrt"
trees = 5
[search]
algorithm = "random"
population = 6
generations = 1
objectives = ["latency.mean", "flops"]
"""

STUDY_UNDER_LOAD = """
[study]
name = "load"
[fleet]
source = "command"
file = "fleet.h5"
batch = 1
[latency]
command = "echo $(wc -c <{network}) ns"
sustained_command = "echo {seconds}; echo $(( 2 * $(wc -c <{network}) )) ns"
sustained_seconds = 60
[network]
name = "mobilenet_v1"
width = 0.25
[profile]
candidates = 12
[surrogate]
kind = "gbrt"
trees = 5
[search]
algorithm = "random"
population = 6
generations = 1
objectives = ["latency.mean", "latency.sustained"]
"""

# What a search has of these, where it needs them.
SEARCH_UNDER_LOAD = ["/log/cluster_sustained_ms", "/log/latency_sustained_ms",
                     "/reference/cluster_sustained_ms"]

# Energies are of simulated devices alone, which heat up, too.
STUDY_OF_ENERGY = """
[study]
name = "energy"
[fleet]
benchmarks = 2
batch = 1
[fleet.synthetic]
preset = "phone"
mixture = "hostile"
devices = 30
[network]
name = "mobilenet_v1"
width = 0.25
[profile]
candidates = 12
runs = 2
[surrogate]
kind = "gbrt"
trees = 5
[search]
algorithm = "random"
population = 6
generations = 1
objectives = ["latency.mean", "energy.mean"]
constraints = ["latency.sustained <= 2x"]
"""

SEARCH_OF_ENERGY = ["/log/cluster_energy_mj", "/log/energy_mean_mj",
                    "/reference/cluster_energy_mj"]

NOT_ASKED_FOR = ["/log/pruning_loss"]
REGRET = ["/regret/" + name for name in (
    "objective", "view", "clusters", "mean", "lower", "upper", "worst_mean", "worst_lower",
    "worst_upper")]
# What surrogates of one kind have, and those of others have not.
FORESTS = ["/unpruned_channels", "/unpruned_latency_ms", "/group_names"] + [
    "/forests/" + name for name in ("base_score", "trees", "nodes", "feature", "threshold", "left",
                                    "right", "value")]
SUM_OF_LAYERS = ["/log_rates", "/weights", "/layers", "/columns"]
NCS_STATE = ["/algorithm/" + name for name in ["parents", "rates", "deviations", "successes"]]

PLAN = """
[ablation]
name = "grid"
base = "study.toml"
compare = "population"
baseline = "4"
[[axis]]
key = "search.population"
values = [4, 6]
[[axis]]
key = "study.seed"
seeds = 2
"""


# ---------------------------------------------------------------------------- the document


@dataclass
class Block:
    language: str
    line: int  # of its first line, from 1
    text: str

    @property
    def writes(self):
        return '"w")' in self.text


@dataclass
class Section:
    title: str
    tables: dict = field(default_factory=dict)  # first column's name -> rows of cells
    blocks: list = field(default_factory=list)


def cells(line):
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def read_document(path):
    """The sections of a Markdown file with their tables and fenced blocks."""
    sections = [Section("")]
    lines = path.read_text().splitlines()
    i = 0
    while i < len(lines):
        section, line = sections[-1], lines[i]
        if line.startswith("#"):
            sections.append(Section(line.lstrip("# ")))
        elif line.startswith("```"):
            end = lines.index("```", i + 1)
            section.blocks.append(Block(line[3:], i + 2, "\n".join(lines[i + 1 : end]) + "\n"))
            i = end
        elif line.startswith("|") and set(lines[i + 1]) <= set("|- "):
            end = i
            while end < len(lines) and lines[end].startswith("|"):
                end += 1
            rows = [cells(row) for row in lines[i + 2 : end]]
            section.tables.setdefault(cells(line)[0], []).extend(rows)
            i = end - 1
        i += 1
    return sections


def code(cell):
    """The parts of a cell that are set as code."""
    return re.findall(r"`([^`]+)`", cell)


def anchor(title):
    """GitHub's address of a heading."""
    kept = "".join(c for c in title.lower() if c.isalnum() or c in " -_")
    return kept.replace(" ", "-")


# ------------------------------------------------------------------------------ the files


def type_name(dtype):
    return "string" if h5py.check_string_dtype(dtype) else dtype.name


def attribute_types(node):
    types = {}
    for name, value in node.attrs.items():
        types[name] = "string" if isinstance(value, str) else np.asarray(value).dtype.name
    return types


def without_load(path):
    """What a path in /sustained or /energy is outside of it, as all are laid out alike."""
    return re.sub("^/(sustained|energy)(/|$)", "/", path)


def is_optional(meaning):
    return meaning.startswith("*Optional")


class Layout:
    """What the document says about one schema. `metrics` are what METRIC stands for."""

    def __init__(self, common, section, metrics):
        self.attributes = {}  # (object, name) -> (type, optional)
        self.data_sets = section.tables["data set"]
        for cell, kind, meaning in common + section.tables.get("attribute", []):
            *owner, name = code(cell)
            for metric in metrics if "METRIC" in cell else [""]:
                path = (owner or ["/"])[0].replace("METRIC", metric)
                optional = is_optional(meaning) or (metric and is_optional(self.row(path)[4]))
                self.attributes[path, name] = (kind, optional)

    def row(self, path):
        for row in self.data_sets:
            pattern = re.escape(code(row[0])[0]).replace("NAME", "[^/]+")
            if re.fullmatch(pattern, path):
                return row
        return None


# ------------------------------------------------------------------------------- the tests


class FileFormats(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        cls.folder = Path(tempfile.mkdtemp(prefix="hdap-formats-"))
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        cls.sections = read_document(cls.document)
        cls.names = {}  # what each block defined
        os.chdir(cls.folder)
        cls.make_inputs()
        cls.run_blocks(lambda block: block.writes)
        (cls.folder / "study.toml").write_text(STUDY)
        cls.hdap("run", "study.toml", "--out", "run", "--quiet")
        os.chdir(cls.folder / "run")
        cls.collect_ablation()

    @classmethod
    def hdap(cls, *arguments):
        ended = subprocess.run([cls.program, *arguments], capture_output=True, text=True)
        if ended.returncode != 0:
            raise AssertionError(f"hdap {' '.join(arguments)} ended with {ended.returncode}:\n"
                                 f"{ended.stdout}{ended.stderr}")
        return ended.stdout

    @classmethod
    def section(cls, title):
        return next(s for s in cls.sections if title in s.title)

    @classmethod
    def make_inputs(cls):
        """A fleet as `hdap fleet import` makes it, and what the writing blocks start from."""
        random = np.random.default_rng(1)
        columns = [code(row[0])[0] for row in cls.section("Measurements for").tables["column"]]
        devices, benchmarks = [f"device {i}" for i in range(30)], ["small", "large"]
        latency_ms = random.lognormal([1.0, 2.0], 0.01, (len(devices), len(benchmarks)))
        lines = [",".join(columns)]
        for d, device in enumerate(devices):
            for b, benchmark in enumerate(benchmarks):
                values = {"device_id": device, "benchmark": benchmark, "run": 0,
                          "latency_ms": latency_ms[d, b]}
                lines.append(",".join(str(values[column]) for column in columns))
        Path("measurements.csv").write_text("\n".join(lines) + "\n")
        cls.hdap("fleet", "import", "measurements.csv", "fleet.h5", "--sku", "Jetson Xavier NX")

        def labelled_images(count):
            labels = np.arange(count) % CLASSES
            shape = (count, CHANNELS, EXTENT, EXTENT)
            noise = random.integers(0, 100, shape)
            return (noise + 70 * labels[:, None, None, None]).astype("uint8"), labels

        train_images, train_labels = labelled_images(90)
        test_images, test_labels = labelled_images(30)
        cls.inputs = dict(device_ids=devices, benchmark_names=benchmarks, latency_ms=latency_ms,
                          firmware=np.arange(len(devices)) % 3,
                          train_images=train_images, train_labels=train_labels,
                          test_images=test_images, test_labels=test_labels,
                          state_dict=cls.random_weights(random))

    @classmethod
    def random_weights(cls, random):
        """Random weights under the names and in the shapes that `hdap network info` tells."""
        known = json.loads(cls.hdap("network", "info", "mobilenet_v1", *SHAPE_OPTIONS,
                                    "--image-size", str(EXTENT), "--json"))
        weights = {"stem.bn.num_batches_tracked": np.int64(7)}
        for name, shape in known["weights"].items():
            if name.endswith("bn.weight") or name.endswith("running_var"):
                weights[name] = np.ones(shape)
            elif len(shape) == 1:
                weights[name] = np.zeros(shape)
            else:
                weights[name] = random.normal(0, np.sqrt(2 / np.prod(shape[1:])), shape)
        return weights

    @classmethod
    def run_blocks(cls, wanted, document=None):
        """Runs a document's Python blocks in the present folder, each by itself."""
        document = document or cls.document
        skipped = []
        for block in (b for section in read_document(document) for b in section.blocks):
            if block.language != "python" or not wanted(block):
                continue
            names = dict(cls.inputs)
            place = "\n" * (block.line - 1)  # so that an error names the document's line
            try:
                with contextlib.redirect_stdout(io.StringIO()):
                    exec(compile(place + block.text, str(document), "exec"), names)
            except ModuleNotFoundError as missing:
                if missing.name not in ("pandas", "matplotlib"):
                    raise
                skipped.append(f"the block at line {block.line} (no {missing.name})")
            cls.names[document.name, block.line] = names
        return skipped

    def layout_of(self, schema):
        found = [s for s in self.sections if f"`{schema}`" in s.title]
        self.assertEqual(len(found), 1, f"sections of {schema}")
        common = self.section("What all HDF5 files have in common").tables["attribute"]
        return Layout(common, found[0], self.metric_columns())

    def front_columns(self):
        return [code(row[0])[0] for row in self.section("`front.csv`").tables["column"]]

    def metric_columns(self):
        columns = self.front_columns()
        return columns[columns.index("kind") + 1 : columns.index("speedup")]

    def check_file(self, path, sizes, by_user=False, lacks=None):
        """Compares a file with its tables. `sizes` holds the dimensions that are known, `lacks`
        exactly the optional data sets that are not in the file, where these are known."""
        with h5py.File(path) as file:
            layout = self.layout_of(file.attrs["schema"])
            self.check_attributes(path, file, layout, by_user)
            paths = []
            file.visititems(lambda name, node: paths.append("/" + name)
                            if isinstance(node, h5py.Dataset) else None)
            seen = set()
            sizes_of_others = {}  # of surrogates of other quantities, by their group
            for name in paths:
                with self.subTest(file=str(path), data_set=name):
                    plain = without_load(name)
                    row = layout.row(plain)
                    self.assertIsNotNone(row, "not in the document")
                    seen.add(row[0])
                    of_others = sizes_of_others.setdefault(name.removesuffix(plain), {})
                    self.check_data_set(file[name], row, sizes if plain == name else of_others,
                                        by_user)
            for row in layout.data_sets:
                if not is_optional(row[4]):
                    self.assertTrue(row[0] in seen, f"{path} lacks {row[0]}")
            if lacks is not None:
                missing = {code(row[0])[0] for row in layout.data_sets if row[0] not in seen}
                self.assertEqual(missing, set(lacks))

    def check_attributes(self, path, file, layout, by_user):
        found = {("/", name): kind for name, kind in attribute_types(file).items()}
        file.visititems(lambda name, node: found.update(
            {("/" + name, key): kind for key, kind in attribute_types(node).items()
             if key != "unit"}))
        for (owner, name), kind in found.items():
            key = (without_load(owner), name)
            with self.subTest(file=str(path), attribute=key):
                self.assertTrue(key in layout.attributes, "not in the document")
                self.assertEqual(kind, layout.attributes[key][0])
        # What hdap writes has the optional ones of all files, too.
        provenance = {("/", name) for name in
                      ("software", "software_version", "git_commit", "created", "host",
                       "job", "nodes", "libraries", "config_sha256", "input_sha256")}
        for key, (_, optional) in layout.attributes.items():
            if not optional or (key in provenance and not by_user):
                self.assertTrue(key in found, f"{path} lacks attribute {key}")

    def check_data_set(self, data, row, sizes, by_user):
        _, kind, shape, unit, _, _ = row
        if not by_user:
            self.assertIn(type_name(data.dtype), kind.split(" or "))
            if unit == "any":
                self.assertTrue(data.attrs.get("unit"), "lacks a unit")
            else:
                self.assertEqual(data.attrs.get("unit", ""), unit)
        if shape == "any":
            return
        dimensions = shape.strip("[]").split(", ")
        self.assertEqual(len(dimensions), data.ndim, f"{shape} against {data.shape}")
        for dimension, extent in zip(dimensions, data.shape):
            if dimension.endswith(" + 1"):
                dimension, extent = dimension[:-4], extent - 1
            dimension = dimension.replace("NAME", data.name)
            known = int(dimension) if dimension.isdigit() else extent
            expected = sizes.setdefault(dimension, known)
            self.assertEqual(extent, expected, f"{dimension} in {shape}")

    # One dictionary of sizes for the whole study: a name means the same in all its files.
    def test_study_files_are_laid_out_as_documented(self):
        sizes = {"devices": 60, "benchmarks": 3, "profiled": 12, "parents": 6, "generations": 3}
        for name in ["fleet.h5", "results.h5"]:
            self.check_file(name, sizes)
        self.check_file("profile.h5", sizes, lacks=["/sustained_latency_ms", "/energy_mj"])
        self.check_file("clusters.h5", sizes, lacks=["/former_cluster"])
        # Of 12 candidates nothing is told of what other clusters would be worth.
        self.check_file("surrogates.h5", sizes, lacks=REGRET + SUM_OF_LAYERS)
        self.check_file("search.h5", sizes, lacks=NCS_STATE + SEARCH_UNDER_LOAD + SEARCH_OF_ENERGY)
        for name in sorted(map(str, Path("networks").glob("*.h5"))):
            self.check_file(name, sizes)
        self.check_file("search.prev.h5", {"groups": sizes["groups"]})
        self.assertEqual(len(list(Path("networks").glob("*.h5"))), 2)

    def test_a_simulated_fleet_has_the_documented_attributes(self):
        table = self.section("Fleet: ").tables["attribute of a device"]
        with h5py.File("fleet.h5") as fleet:
            self.assertEqual(set(fleet["attributes"]), {code(row[0])[0] for row in table})
            for name, attribute in fleet["attributes"].items():
                self.assertEqual(attribute.attrs["unit"], "degC" if name == "ambient_c" else "1")
            labels = self.section("Fleet: ").tables["label of a device"]
            self.assertEqual(set(fleet["labels"]), {code(row[0])[0] for row in labels})
            regions = fleet["labels/region/value"].asstr()[:][fleet["labels/region/code"][:]]
            self.assertEqual(len(regions), len(fleet["device_id"]))
            self.assertLessEqual(set(regions),
                                 set(code(next(row[1] for row in labels if "region" in row[0]))))

    def test_results_hold_the_documented_metrics(self):
        tables = self.section("Results: ").tables
        for group, column in {"final": "metric", "cost": "cost"}.items():
            with h5py.File("results.h5") as results:
                found = dict(zip(results[group]["name"].asstr(), results[group]["unit"].asstr()))
            for row in tables[column]:
                for pattern in code(row[0]):
                    pattern = re.escape(pattern).replace("X", r"[0-9.]+").replace("N", "[0-9]+")
                    names = [name for name in found if re.fullmatch(pattern, name)]
                    if re.search("absent without rounds|a study without accuracies|absent where (no|these)",
                                 row[2]) or re.search("`(latency.sustained|energy.mean)` is not", row[2]):
                        self.assertFalse(names)
                        continue
                    self.assertTrue(names, f"no {pattern}")
                    for name in names:
                        self.assertEqual(found.pop(name), row[1], name)
            self.assertEqual(found, {}, "not in the document")

    def test_a_study_of_rounds_has_the_documented_folders_and_metrics(self):
        os.chdir(self.folder)
        self.addCleanup(os.chdir, self.folder / "run")
        self.hdap("run", "study.toml", "--out", "rounds", "--quiet", "--set", "study.rounds=2",
                  "--set", "search.max_step=0.3", "--set", "search.constraints=[\"accuracy_drop <= 1\"]")
        sizes = {"devices": 60, "benchmarks": 3, "rounds": 2}
        for name in ["search.h5", "results.h5", "networks/round-02.h5"]:
            self.check_file(Path("rounds/round-02") / name, dict(sizes))
        for name in ["fleet.h5", "surrogates.h5", "results.h5"]:
            self.check_file(Path("rounds") / name, dict(sizes))
        with h5py.File("rounds/results.h5") as results:
            found = set(results["final/name"].asstr())
            self.assertLessEqual({"latency_mean_ms", "test_accuracy"}, set(results["rounds"]))
        for row in self.section("Results: ").tables["metric"]:
            if "absent without rounds" in row[2]:
                self.assertLessEqual(set(code(row[0])), found)
        self.assertIn("round-02,round,", Path("rounds/front.csv").read_text())

    def test_results_say_who_keeps_the_constraints_as_front_csv_does(self):
        rows = [line.split(",") for line in Path("front.csv").read_text().splitlines()]
        holds = rows[0].index("holds_on_devices")
        with h5py.File("results.h5") as results:
            self.assertEqual(list(results["bounds/networks"].asstr()), [r[0] for r in rows[1:]])
            self.assertEqual(list(results["bounds/holds"].asstr()), [r[holds] for r in rows[1:]])
            found = results["bounds/found"][:]
        for column, name in {1: "latency_sla_33ms_on_devices", 2: "accuracy_drop_final",
                             3: "accuracy_drop_relative_final"}.items():
            self.assertEqual([float(row[rows[0].index(name)]) for row in rows[1:]],
                             list(found[:, column]))

    def write_recorded_table(self):
        """Candidates at random on devices of two kinds, under the documented columns."""
        known = json.loads(self.hdap("network", "info", "mobilenet_v1", "--width", "0.25",
                                     "--json"))
        channels = {group["name"]: group["channels"] for group in known["groups"]}
        documented = [code(row[0])[0]
                      for row in self.section("Recorded latencies").tables["column"]]
        self.assertEqual(documented.pop(), "keep_GROUP")
        random = np.random.default_rng(3)
        lines = [",".join(documented + ["keep_" + group for group in channels])]
        for candidate in range(15):
            keep = {group: random.integers(-(-count // 2), count + 1) if candidate else count
                    for group, count in channels.items()}
            for device in range(20):
                values = {"device_id": f"device {device}", "run": 0,
                          "latency_ms": sum(keep.values()) * (1 + device % 2)}
                lines.append(",".join(str(values[column]) for column in documented) + "," +
                             ",".join(map(str, keep.values())))
        Path("recorded.csv").write_text("\n".join(lines) + "\n")

    def test_a_recorded_fleet_is_searched_without_accuracies_and_goes_on(self):
        os.chdir(self.folder)
        self.addCleanup(os.chdir, self.folder / "run")
        self.write_recorded_table()
        Path("recorded.toml").write_text(RECORDED_STUDY)
        self.hdap("run", "recorded.toml", "--out", "recorded", "--quiet")
        sizes = {"devices": 20, "benchmarks": 3, "profiled": 15, "generations": 2}
        folder = Path("recorded")
        for name in ["fleet.h5", "clusters.h5", "profile.h5", "surrogates.h5", "results.h5"]:
            self.check_file(folder / name, sizes)
        self.check_file(folder / "search.h5", sizes, lacks=[
            "/log/accuracy", "/log/accuracy_drop", "/log/accuracy_drop_relative",
            "/log/given_up_after", "/log/failed", "/log/latency_sla_33ms",
            "/algorithm/population"] + NOT_ASKED_FOR + NCS_STATE + SEARCH_UNDER_LOAD + SEARCH_OF_ENERGY)
        header = (folder / "front.csv").read_text().splitlines()[0].split(",")
        self.assertEqual([column for column in self.front_columns() if column not in header],
                         ["accuracy_drop", "latency_sla_33ms", "latency_sustained_ms", "energy_mean_mj",
                          "accuracy_drop_relative", "pruning_loss", "latency_fleet_ms", "accuracy",
                          "test_accuracy", "keep_GROUP", "holds_on_devices", "broken", "latency_sla_33ms_on_devices",
                          "accuracy_drop_final", "accuracy_drop_relative_final"])
        self.hdap("run", "recorded.toml", "--out", "recorded", "--quiet", "--set",
                  "search.generations=2")
        moved = re.findall(r"generations-12/ +(.+)", self.document.read_text())[0].split()
        self.assertEqual({path.name for path in (folder / "generations-1").iterdir()},
                         {name.rstrip("/") for name in moved})

    def test_the_checkpoint_of_ncs_is_laid_out_as_documented(self):
        os.chdir(self.folder)
        self.addCleanup(os.chdir, self.folder / "run")
        self.hdap("run", "study.toml", "--out", "ncs", "--quiet", "--set", "search.algorithm=ncs",
                  "--set", 'search.objectives=["latency.mean"]', "--set", "finetune.candidates=0")
        self.check_file("ncs/search.h5", {"devices": 60, "processes": 6, "generations": 3},
                        lacks=["/algorithm/population"] + SEARCH_UNDER_LOAD + SEARCH_OF_ENERGY)

    def test_a_surrogate_that_sums_layers_is_laid_out_as_documented(self):
        os.chdir(self.folder)
        self.addCleanup(os.chdir, self.folder / "run")
        self.hdap("surrogate", "fit", "study.toml", "--out", "sums", "--quiet", "--set",
                  "surrogate.kind=auto")
        self.check_file("sums/surrogates.h5", {"devices": 60}, lacks=REGRET + FORESTS)
        with h5py.File("sums/surrogates.h5") as file:
            self.assertEqual(file.attrs["kind"], "layer_additive")
            self.assertEqual(file["log_rates"].shape, (len(file["cross_validation/mape"]), 7))
            self.assertEqual(file["weights"].shape, (len(file["layers"]), len(file["columns"])))

    def test_a_study_under_continuous_load_is_laid_out_as_documented(self):
        os.chdir(self.folder)
        self.addCleanup(os.chdir, self.folder / "run")
        Path("load.toml").write_text(STUDY_UNDER_LOAD)
        self.hdap("run", "load.toml", "--out", "load", "--quiet")
        sizes = {"devices": 30, "benchmarks": 2, "profiled": 12, "generations": 2}
        self.check_file("load/profile.h5", sizes, lacks=["/energy_mj"])
        for name in ["surrogates.h5", "results.h5"]:
            self.check_file(Path("load") / name, sizes)
        with h5py.File("load/surrogates.h5") as surrogates:
            self.assertEqual(set(surrogates["sustained"]), set(surrogates) - {"sustained"})
            self.assertEqual(surrogates["sustained"].attrs["kind"], "gbrt")
        self.check_file("load/search.h5", sizes, lacks=[
            "/log/accuracy", "/log/accuracy_drop", "/log/accuracy_drop_relative",
            "/log/given_up_after", "/log/failed", "/log/latency_sla_33ms",
            "/algorithm/population"] + NOT_ASKED_FOR + NCS_STATE + SEARCH_OF_ENERGY)
        with h5py.File("load/results.h5") as results:
            self.assertLessEqual({"front_least_latency_sustained_ms", "sustained_surrogate_mape",
                                  "sustained_surrogate_kendall_tau"},
                                 set(results["final/name"].asstr()))
        header = Path("load/front.csv").read_text().splitlines()[0].split(",")
        self.assertIn("latency_sustained_ms", header)
        self.assertIn('"origin":"latency.sustained_command"',
                      Path("load/measurements/measurements.jsonl").read_text())

    def test_clusters_that_are_kept_are_laid_out_as_documented(self):
        os.chdir(self.folder)
        self.addCleanup(os.chdir, self.folder / "run")
        self.hdap("profile", "study.toml", "--out", "kept", "--quiet", "--set", "clusters.keep=run")
        sizes = {"devices": 60, "benchmarks": 3, "profiled": 12}
        self.check_file("kept/clusters.h5", sizes, lacks=[])
        self.check_file("kept/profile.h5", sizes)

    def test_a_study_of_energy_is_laid_out_as_documented(self):
        os.chdir(self.folder)
        self.addCleanup(os.chdir, self.folder / "run")
        Path("energy.toml").write_text(STUDY_OF_ENERGY)
        self.hdap("run", "energy.toml", "--out", "energy", "--quiet")
        sizes = {"devices": 30, "benchmarks": 2, "profiled": 12, "generations": 2}
        for name in ["surrogates.h5", "results.h5"]:
            self.check_file(Path("energy") / name, sizes)
        self.check_file("energy/profile.h5", sizes, lacks=[])
        with h5py.File("energy/profile.h5") as profile:
            self.assertEqual(profile["energy_mj"].attrs["unit"], "mJ")
        with h5py.File("energy/surrogates.h5") as surrogates:
            self.assertEqual(surrogates["energy"].attrs["kind"], "gbrt")
        self.check_file("energy/search.h5", sizes, lacks=[
            "/log/accuracy", "/log/accuracy_drop", "/log/accuracy_drop_relative",
            "/log/given_up_after", "/log/failed", "/log/latency_sla_33ms",
            "/algorithm/population"] + NOT_ASKED_FOR + NCS_STATE)
        with h5py.File("energy/results.h5") as results:
            found = set(results["final/name"].asstr())
        for row in self.section("Results: ").tables["metric"]:
            if re.search("`(latency.sustained|energy.mean)` is not", row[2]):
                self.assertLessEqual(set(code(row[0])), found)
        header = Path("energy/front.csv").read_text().splitlines()[0].split(",")
        self.assertIn("energy_mean_mj", header)

    def test_files_of_other_commands_are_laid_out_as_documented(self):
        self.check_file(self.folder / "fleet.h5", {"devices": 30, "benchmarks": 2})
        self.write_idx("train", 30)
        self.write_idx("t10k", 12)
        self.hdap("data", "pack", "fashion-mnist", ".", "packed.h5")
        self.check_file("packed.h5", {"train": 30, "test": 12, "height": 28, "width": 28})
        for split, count in {"train": 7, "test": 4}.items():
            for i in range(count):
                self.write_png(Path("folder", split, "ab"[i % 2], f"{i}.png"), 20, 16)
        self.hdap("data", "pack", "image-folder", "folder", "folder.h5", "--size", "12")
        self.check_file("folder.h5", {"train": 7, "test": 4, "channels": 3, "height": 12,
                                      "width": 12, "classes": 2})
        self.hdap("train", "mobilenet_v1", "--width", "0.25", "--data", "../my-images.h5",
                  "--held-out", "40", "--weights", "../my-weights.h5", "--epochs", "1e-6",
                  "--batch", "10", "--out", "trained.h5")
        self.check_file("trained.h5", {})
        self.check_training_files()
        self.hdap("fleet", "measure", "../study.toml", "--rounds", "2", "--quiet",
                  "--out", "measured.h5")
        self.check_file("measured.h5", {"devices": 1, "benchmarks": 3, "rounds": 2})

    def check_training_files(self):
        """What a training writes that its time limit ends."""
        stopped = subprocess.run(
            [self.program, "train", "mobilenet_v1", "--width", "0.25", "--data", "../my-images.h5",
             "--held-out", "40", "--epochs", "10000", "--batch", "10", "--time-limit", "3s",
             "--out", "stopped.h5"], capture_output=True, text=True)
        self.assertEqual(stopped.returncode, 75, stopped.stderr)
        self.check_file("stopped.h5.checkpoint", {})
        documented = [code(row[0])[0]
                      for row in self.section("History of a training").tables["column"]]
        self.assertEqual(Path("stopped.h5.csv").read_text().splitlines()[0].split(","), documented)

    @staticmethod
    def write_png(path, width, height):
        def chunk(name, data):
            body = name + data
            return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

        random = np.random.default_rng(len(str(path)))
        lines = b"".join(b"\0" + random.bytes(3 * width) for _ in range(height))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"\x89PNG\r\n\x1a\n" +
                         chunk(b"IHDR", struct.pack(">2I5B", width, height, 8, 2, 0, 0, 0)) +
                         chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b""))

    @staticmethod
    def write_idx(prefix, count):
        random = np.random.default_rng(2)
        Path(f"{prefix}-images-idx3-ubyte").write_bytes(
            struct.pack(">4I", 0x803, count, 28, 28) + random.bytes(count * 28 * 28))
        Path(f"{prefix}-labels-idx1-ubyte").write_bytes(
            struct.pack(">2I", 0x801, count) + bytes(i % 10 for i in range(count)))

    def test_hdap_accepts_what_the_writing_blocks_wrote(self):
        # The study itself ran on my-images.h5 and my-weights.h5.
        self.check_file(self.folder / "my-images.h5", {"train": 90, "test": 30}, by_user=True)
        self.check_file(self.folder / "my-weights.h5", {}, by_user=True)
        self.check_file(self.folder / "my-fleet.h5", {"devices": 30}, by_user=True)
        self.assertIn("30 devices of Jetson Xavier NX, with attributes\n",
                      self.hdap("fleet", "info", "../my-fleet.h5"))
        self.hdap("fleet", "cluster", "../renamed-fleet.h5", "--out", "my-clusters.h5")
        self.check_file("my-clusters.h5", {"devices": 30})

    def test_reading_blocks_do_what_they_say(self):
        skipped = self.run_blocks(lambda block: not block.writes)
        with h5py.File("search.h5") as search:
            log = {name: data[:] for name, data in search["log"].items()}
        front = next(n for n in self.names.values() if "is_dominated" in n)["front"]
        rows = [line.split(",") for line in Path("front.csv").read_text().splitlines()]
        listed = {float(row[2]) for row in rows if row[1] == "front"}
        self.assertTrue(listed)
        self.assertEqual({log["latency_mean_ms"][i] for i in front}, listed)

        predict = next(n for n in self.names.values() if "predicted_latency_ms" in n)
        for genome, latencies in zip(log["genomes"], log["cluster_latency_ms"]):
            for cluster, expected in enumerate(latencies):
                self.assertEqual(predict["predicted_latency_ms"](cluster, genome), expected)
        p95_ms = next(n for n in self.names.values() if "p95_ms" in n)["p95_ms"]
        self.assertAlmostEqual(p95_ms, log["latency_p95_ms"][-1], delta=1e-9 * p95_ms)
        if skipped:
            self.skipTest("all but " + ", ".join(skipped))

    def test_csv_and_json_files_have_the_documented_columns(self):
        with h5py.File("profile.h5") as profile:
            groups = profile["group_names"].asstr()[:]
        documented = self.front_columns()
        documented.remove("latency_sustained_ms")  # not asked for
        documented.remove("energy_mean_mj")
        place = documented.index("keep_GROUP")
        documented[place : place + 1] = ["keep_" + group for group in groups]
        self.assertEqual(Path("front.csv").read_text().splitlines()[0], ",".join(documented))
        keys = {code(row[0])[0] for row in self.section("`attempts.jsonl`").tables["key"]}
        found = [json.loads(line) for line in Path("attempts.jsonl").read_text().splitlines()]
        self.assertEqual(set().union(*found), keys)
        self.assertEqual([line["event"] for line in found[:2]], ["start", "end"])
        keys = [code(row[0])[0] for row in self.section("`log.jsonl`").tables["key"]]
        for line in Path("log.jsonl").read_text().splitlines():
            self.assertEqual(list(json.loads(line)), keys)

    # The cells of the ablation are copies of the study: what is in them is not the point here.
    @classmethod
    def collect_ablation(cls):
        (cls.folder / "plan.toml").write_text(PLAN)
        cls.hdap("ablate", "plan", "../plan.toml", "--out", "ablation")
        for row in Path("ablation/manifest.csv").read_text().splitlines()[1:4]:
            cell = Path("ablation/cells") / row.split(",")[1]
            cell.mkdir(parents=True)
            shutil.copy("results.h5", cell)
        cls.hdap("ablate", "collect", "../plan.toml", "--out", "ablation")

    def test_files_of_an_ablation_are_laid_out_as_documented(self):
        header, *rows = Path("ablation/manifest.csv").read_text().splitlines()
        self.assertEqual(header, "index,id,population,seed,overrides")
        self.assertEqual(len(rows), 4)
        for row in rows:
            self.assertRegex(row, r"^[1-4],[0-9a-f]{12},[46],[12],search\.population=[46] ")
        self.check_file("ablation/results.h5", {"cells": 3, "incomplete": 1})
        with h5py.File("ablation/results.h5") as results:
            names = {group: list(results[group]) for group in ("final", "cost", "history")}
            self.assertEqual(results["incomplete/id"].asstr()[0], rows[3].split(",")[1])
        series = [name for name in names["history"] if name not in ("cell", "generation")]
        axes = ["population", "seed"]
        provenance = ["software_version", "git_commit", "host", "job", "created"]
        self.check_columns("cells.csv", ["id"] + axes + names["final"] +
                           ["cost_" + name for name in names["cost"]] + provenance)
        self.check_columns("history.csv", ["id"] + axes + ["generation"] + series)
        documented = self.section("`comparison.csv`").tables["column"]
        self.check_columns("comparison.csv", [name for row in documented for name in code(row[0])])

    def test_the_blocks_of_ablations_md_run(self):
        os.chdir("ablation")
        self.addCleanup(os.chdir, "..")
        skipped = self.run_blocks(lambda block: True, self.document.with_name("ablations.md"))
        if skipped:
            self.skipTest("all but " + ", ".join(skipped))
        self.assertTrue(Path("hypervolume.png").exists())

    def check_columns(self, name, expected):
        header = Path("ablation", name).read_text().splitlines()[0].split(",")
        self.assertEqual(sorted(header), sorted(expected))

    def test_the_seal_can_be_checked_by_hand(self):
        block = next(b for b in self.section("The seal").blocks if b.language == "sh")
        output = subprocess.run(["bash", "-e", "-c", block.text], check=True, capture_output=True)
        magic, count, seal, by_hand = output.stdout.decode().splitlines()
        self.assertEqual(magic, "hdap sealed file 1")
        self.assertEqual(count, f"bytes {Path('search.h5').stat().st_size - 512}")
        self.assertEqual(seal.split()[1], by_hand.split()[0])
        with h5py.File("search.h5") as search:
            self.assertEqual(search.userblock_size, 512)

    def test_inspect_shows_every_data_set_in_lines_of_bounded_width(self):
        seals = {"search.h5": "its seal is intact", "../my-weights.h5": "without a seal"}
        for name, seal in seals.items():
            text = self.hdap("inspect", name)
            lines = text.splitlines()
            self.assertTrue(lines[0].endswith(seal), lines[0])
            self.assertLessEqual(max(map(len, lines)), WIDEST_LINE)
            shown = {line.split()[0] for line in lines if line.startswith("/")}
            with h5py.File(name) as file:
                file.visititems(lambda path, node: self.assertIn(
                    "/" + path + ("" if isinstance(node, h5py.Dataset) else "/"), shown))

    def test_links_within_the_document_lead_somewhere(self):
        anchors = {anchor(section.title) for section in self.sections}
        for target in re.findall(r"\]\(#([^)]+)\)", self.document.read_text()):
            self.assertIn(target, anchors)


if __name__ == "__main__":
    FileFormats.program, FileFormats.document = (str(Path(sys.argv[1]).resolve()),
                                                 Path(sys.argv[2]).resolve())
    os.environ.setdefault("MPLBACKEND", "Agg")
    unittest.main(argv=[sys.argv[0], *sys.argv[3:]])
