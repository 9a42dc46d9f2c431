// hdap network: a network comes in as one file and goes out smaller as another.
#include "end_to_end/file_damage.hpp"
#include "end_to_end/tiny_study.hpp"
#include "hdap/network/fold_batch_norm.hpp"
#include "hdap/network/load.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include <fstream>

using namespace hdap::test;
using Catch::Contains;
using nlohmann::json;

namespace {

/// Calls `hdap network ARGUMENTS`, without mpirun.
Outcome network(const TinyStudy& study, Arguments arguments) {
    arguments.insert(arguments.begin(), "network");
    return study.call({.ranks = 0}, arguments);
}

/// The same, when it must succeed.
std::string output(const TinyStudy& study, const Arguments& arguments) {
    const Outcome outcome = network(study, arguments);
    INFO(outcome.errors);
    REQUIRE(outcome.exit_code == 0);
    return outcome.output;
}

json as_json(const TinyStudy& study, Arguments arguments) {
    arguments.emplace_back("--json");
    return json::parse(output(study, arguments));
}

void refuses(const TinyStudy& study, const Arguments& arguments, int exit_code,
             const std::vector<std::string>& parts) {
    const Outcome outcome = network(study, arguments);
    INFO(outcome.errors);
    CHECK(outcome.exit_code == exit_code);
    for (const std::string& part : parts)
        CHECK_THAT(outcome.errors, Contains(part));
    CHECK(outcome.output.empty());
}

} // namespace

TEST_CASE("a network of the zoo is described with its costs, groups and what is left whole") {
    const TinyStudy study(TinyStudy::Weights::initial);
    const std::string text = output(study, {"info", "resnet56"});
    CHECK_THAT(text, Contains("125.5 M MACs, 0.8530 M parameters"));
    CHECK_THAT(text, Contains("layer3.0.shortcut.pad"));
    CHECK_THAT(text, Contains("output of the network"));
    const json info = as_json(study, {"info", "yolov8n", "--pin", "model.0.conv"});
    CHECK(info["macs"] == 4'371'456'000);
    CHECK(info["weight_bytes"] == 4 * 3'157'184);
    CHECK(info["weights"]["model.22.cv3.2.2.bias"] == json{80});
    bool pinned = false;
    for (const json& entry : info["unprunable"])
        pinned = pinned || entry["reason"] == "'model.0.conv' is pinned";
    CHECK(pinned);
}

TEST_CASE("a network keeps its accuracy as HDF5, ONNX and TorchScript, and is pruned as each") {
    const TinyStudy study;
    const std::string folder = study.folder().string() + "/";
    const Arguments source{"mobilenet_v1", "--weights", folder + "weights.h5", "--width", "0.25"};
    const Arguments data{"--data", folder + "images.h5"};
    const auto with = [](Arguments a, const Arguments& b) {
        a.insert(a.end(), b.begin(), b.end());
        return a;
    };
    const json expected = as_json(study, with(with({"eval"}, source), data));
    CHECK(expected["top1"] > 0.8);
    const std::string latin = folder + "gro\xDF.h5"; // no UTF-8, as JSON must be
    std::filesystem::copy(folder + "images.h5", latin);
    CHECK(as_json(study, with(with({"eval"}, source), {"--data", latin}))["data"] ==
          folder + "gro\uFFFD.h5");
    output(study,
           with(with({"export"}, source), {"--classes", "3", "--channels", "1", "--image-size",
                                           "16", "--out", folder + "whole.h5", "--out",
                                           folder + "whole.onnx", "--out", folder + "whole.pt"}));
    for (const char* name : {"whole.h5", "whole.onnx", "whole.pt"}) {
        INFO(name);
        const json found = as_json(study, with({"eval", folder + name}, data));
        CHECK(found["top1"] == expected["top1"]);
        CHECK(found["loss"].get<double>() == Approx(expected["loss"].get<double>()).epsilon(1e-4));
    }

    std::vector<json> pruned;
    for (const char* name : {"whole.h5", "whole.onnx", "whole.pt"}) {
        INFO(name);
        const std::string small = folder + "small-of-" + name;
        const std::string text = output(
            study, with({"prune", folder + name, "--macs", "0.5", "--divisor", "4", "--out", small},
                        data));
        CHECK_THAT(text, Contains("% of the MACs"));
        pruned.push_back(as_json(study, with({"eval", small}, data)));
        CHECK(pruned.back()["loss"].get<double>() ==
              Approx(pruned.front()["loss"].get<double>()).epsilon(1e-3));
        const json info = as_json(study, {"info", small, "--channels", "1", "--image-size", "16"});
        const json whole =
            as_json(study, {"info", folder + name, "--channels", "1", "--image-size", "16"});
        CHECK(info["macs"].get<double>() <= 0.5 * whole["macs"].get<double>());
        CHECK(info["macs"].get<double>() > 0.3 * whole["macs"].get<double>());
    }
}

TEST_CASE("batch norms that an exporter folded away are inserted again") {
    const TinyStudy study;
    const std::string folder = study.folder().string() + "/";
    const auto whole = hdap::network::load_network(
        {.network = "mobilenet_v1",
         .zoo = {.width = 0.25, .classes = 3, .input_channels = 1, .input_extent = {16, 16}},
         .weights = folder + "weights.h5"});
    const std::string folded = folder + "folded.onnx";
    hdap::network::save_network(folded,
                                hdap::network::fold_batch_norms(whole.network, *whole.weights),
                                whole.normalisation);
    const Arguments prune{"prune", folded, "--keep", "0.6", "--out", folder + "small.h5"};
    const Arguments data{"--data", folder + "images.h5"};
    const auto with = [](Arguments a, const Arguments& b) {
        a.insert(a.end(), b.begin(), b.end());
        return a;
    };
    const auto accuracy = [&] {
        return as_json(study, with({"eval", folder + "small.h5"}, data))["top1"].get<double>();
    };
    CHECK_THAT(network(study, prune).errors,
               Contains("27 convolutions have no batch norms") && Contains("--data"));
    const double without = accuracy();
    CHECK_THAT(output(study, with(prune, data)),
               Contains("batch norms inserted behind 27 convolutions, from 500 images"));
    CHECK(accuracy() > without);

    const Arguments use{"--set", "network.file=\"" + folded + "\"", "--set",
                        "network.weights=\"\""};
    const auto run = [&](const std::string& name, const Arguments& more) {
        const Outcome outcome = study.run({.ranks = 0}, name, with(use, more));
        INFO(outcome.errors);
        CHECK(outcome.exit_code == 0);
        return outcome.errors;
    };
    CHECK_THAT(run("folded", {}), Contains("27 convolutions have no batch norms (folded away?): "
                                           "inserted, from 32 training images"));
    CHECK_THAT(run("kept", {"--set", "network.insert_batch_norms=false"}),
               Contains("none are inserted (network.insert_batch_norms = false)"));
    CHECK_THAT(run("latency", {"--set", "accuracy.evaluator=\"none\"", "--set",
                               "search.objectives=[\"latency.mean\", \"flops\"]"}),
               Contains("none are inserted, as accuracies play no part"));
}

TEST_CASE("a step of pruning that does nothing says so") {
    const TinyStudy study(TinyStudy::Weights::initial);
    const std::string folder = study.folder().string() + "/";
    const std::string whole = folder + "whole.h5";
    output(study, {"export", "mobilenet_v1", "--weights", folder + "weights.h5", "--width", "0.25",
                   "--classes", "3", "--channels", "1", "--image-size", "16", "--out", whole});
    const auto said = [&](const Arguments& more) {
        Arguments arguments{"prune", whole, "--out", folder + "small.h5"};
        arguments.insert(arguments.end(), more.begin(), more.end());
        const Outcome outcome = network(study, arguments);
        CHECK(outcome.exit_code == 0);
        return outcome.errors;
    };
    const std::string data = folder + "images.h5";
    CHECK_THAT(said({"--keep", "0.5"}), Contains("batch norms") && Contains("--data"));
    CHECK(said({"--keep", "0.5", "--data", data}).empty());
    CHECK_THAT(said({"--keep", "1"}), Contains("nothing was pruned"));
    CHECK_THAT(said({"--keep", "0.5", "--data", data, "--recalibration-images", "501"}),
               Contains("has only 500 training images"));
    refuses(study, {"prune", whole, "--keep", "0.5", "--out", folder + "small.h5", "--seed", "2"},
            2, {"--seed is of --criterion random; 'l2'"});
    refuses(study,
            {"prune", whole, "--keep", "0.5", "--out", folder + "small.h5",
             "--recalibration-images", "100"},
            2, {"--recalibration-images needs --data"});
    refuses(study, {"info", whole, "--channels", "3"}, 2, {"--channels 3", "with 1 channel"});
    CHECK_THAT(output(study, {"eval", whole, "--data", data}), !Contains("top-5"));

    // What an exporter leaves that folds batch norms.
    const auto loaded = hdap::network::load_network({.network = whole});
    hdap::network::save_network(
        whole, hdap::network::fold_batch_norms(loaded.network, loaded.weights.value()));
    CHECK_THAT(said({"--keep", "0.5", "--data", data, "--keep-graph"}),
               Contains("--data recalibrated nothing"));
    CHECK_THAT(said({"--keep", "0.5", "--criterion", "batch_norm_scale"}),
               Contains("14 of 14 pruning groups have no batch norm"));
}

TEST_CASE("another normalisation is told, can be said, and is remembered in every file") {
    const TinyStudy study;
    const std::string folder = study.folder().string() + "/";
    const Arguments data{"--data", folder + "images.h5"};
    const auto with = [](Arguments a, const Arguments& b) {
        a.insert(a.end(), b.begin(), b.end());
        return a;
    };
    const Arguments source{"mobilenet_v1", "--weights", folder + "weights.h5", "--width", "0.25"};
    const json expected = as_json(study, with(with({"eval"}, source), data));
    const Outcome wrong =
        network(study, with(with({"eval", "--scale", "255"}, source), with(data, {"--json"})));
    INFO(wrong.errors);
    REQUIRE(wrong.exit_code == 0);
    CHECK_THAT(wrong.errors, Contains("warning") && Contains("another normalisation") &&
                                 Contains("data.scale") && Contains("[0.003922]"));
    CHECK_THAT(wrong.errors, Contains("weights.h5' says (pixel / 255 - [0.3000])"));
    CHECK(json::parse(wrong.output)["top1"] < expected["top1"]);
    // The images' own, said in numbers for pixels of 0 to 255.
    const Arguments right{"--scale", "255", "--mean", "76.5", "--std", "63.75"};
    for (const char* name : {"said.h5", "said.onnx", "said.pt"}) {
        INFO(name);
        output(study, with(with({"prune", "--keep", "1", "--mean", "0.9"}, source),
                           with(data, {"--out", folder + name})));
        const Outcome told = network(study, with({"eval", folder + name}, with(data, right)));
        CHECK_THAT(told.errors, Contains("(pixel / 255 - [0.9000]) / [0.2500]"));
        output(study, with(with({"export", "--classes", "3", "--channels", "1", "--image-size",
                                 "16", "--scale", "255", "--mean", "76.5", "--std", "63.75"},
                                source),
                           {"--out", folder + name}));
        const json found = as_json(study, with({"eval", folder + name}, data));
        CHECK(found["top1"] == expected["top1"]);
    }
    refuses(study, with(with({"eval", "--channels", "bgr"}, source), data), 2,
            {"data.channels (--channels) is bgr", "1 channel instead"});
    refuses(study, with(with({"eval", "--channels", "1"}, source), data), 2,
            {"--channels: the images of --data tell that"});
    refuses(study, {"export", folder + "said.h5", "--channels", "grb", "--out", folder + "x.h5"}, 2,
            {"--channels: 'grb' is neither rgb nor bgr"});
}

TEST_CASE("an ONNX network ends where it is told to stop") {
    const TinyStudy study(TinyStudy::Weights::initial);
    const std::string folder = study.folder().string() + "/";
    output(study, {"export", "mobilenet_v1", "--weights", folder + "weights.h5", "--width", "0.25",
                   "--classes", "3", "--channels", "1", "--image-size", "16", "--out",
                   folder + "whole.onnx", "--out", folder + "whole.h5"});
    const json info =
        as_json(study, {"info", "--channels", "1", "--stop-at",
                        "blocks.0.pointwise.bn,blocks.3.pointwise.relu", folder + "whole.onnx"});
    CHECK(info["layers"].back()["name"] == "blocks.3.pointwise.conv");
    refuses(study, {"info", folder + "whole.onnx", "--channels", "1", "--stop-at", "poool"}, 3,
            {"whole.onnx: no tensor is named 'poool'", "did you mean 'pool'?"});
    refuses(study, {"info", folder + "whole.h5", "--channels", "1", "--stop-at", "pool"}, 2,
            {"whole.h5' is no ONNX file"});
    refuses(study, {"info", "resnet20", "--stop-at", "pool"}, 2, {"'resnet20' is no ONNX file"});
}

TEST_CASE("a genome is taken from JSON by position or by name") {
    const TinyStudy study(TinyStudy::Weights::initial);
    const std::string folder = study.folder().string() + "/";
    output(study, {"export", "mobilenet_v1", "--weights", folder + "weights.h5", "--width", "0.25",
                   "--classes", "3", "--channels", "1", "--image-size", "16", "--out",
                   folder + "whole.h5"});
    const auto write = [&](const std::string& text) {
        std::ofstream(folder + "genome.json") << text;
    };
    const Arguments prune{"prune", folder + "whole.h5", "--genome", folder + "genome.json",
                          "--out", folder + "small.h5"};
    write(R"({"stem.conv": 3, "blocks.12.pointwise.conv": 100})");
    output(study, prune);
    const json info = as_json(study, {"info", folder + "small.h5"});
    CHECK(info["groups"].front()["channels"] == 3);
    CHECK(info["groups"].back()["channels"] == 100);
    CHECK(info["groups"][1]["channels"] == 16);

    write(R"({"stem.cnv": 3})");
    refuses(study, prune, 3, {"genome.json", "no pruning group 'stem.cnv'", "'stem.conv'"});
    write("[1, 2, 3]");
    refuses(study, prune, 3, {"genome.json", "has 3 counts", "14 pruning groups"});
    write(R"({"stem.conv": 9})");
    refuses(study, prune, 3, {"keeps 9 channels of group 0"});
    write("not JSON");
    refuses(study, prune, 3, {"genome.json: not JSON"});
}

TEST_CASE("what is wrong with a network, its weights or the call is said in one message") {
    const TinyStudy study(TinyStudy::Weights::initial);
    const std::string folder = study.folder().string() + "/";
    const std::string weights = folder + "weights.h5";
    refuses(study, {"info", "resnet51"}, 2, {"neither a file nor", "did you mean 'resnet5"});
    refuses(study, {"info", "resnet20", "--weights", weights}, 3,
            {weights, "do not fit network 'resnet20'"});
    refuses(study, {"export", "resnet20", "--out", folder + "x.onnx"}, 2,
            {"has no weights of its own", "--weights"});
    refuses(study, {"export", "resnet20", "--weights", weights, "--out", folder + "x.tflite"}, 2,
            {"x.tflite", "must end in one of .h5, .onnx, .pt"});
    refuses(study, {"prune", "resnet20", "--weights", weights, "--out", folder + "x.h5"}, 2,
            {"--keep, --macs or --genome"});
    refuses(study,
            {"prune", "resnet20", "--keep", "0.5", "--criterion", "taylor", "--weights",
             folder + "none.h5", "--out", folder + "x.h5"},
            3, {"none.h5"});
    std::ofstream(folder + "noise.onnx") << "this is not a network";
    refuses(study, {"info", folder + "noise.onnx"}, 3, {"noise.onnx"});
    std::ofstream(folder + "noise.pt") << "PK\x03\x04 nor is this";
    refuses(study, {"info", folder + "noise.pt", "--image-size", "32"}, 3, {"noise.pt"});
    std::filesystem::copy(weights, folder + "cut.h5");
    std::filesystem::resize_file(folder + "cut.h5", 1000);
    refuses(study, {"info", "mobilenet_v1", "--weights", folder + "cut.h5"}, 3, {"cut.h5"});
    CHECK_FALSE(std::filesystem::exists(folder + "x.h5"));
}
