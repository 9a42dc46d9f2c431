#include "hdap/network/weight_files.hpp"

#include "hdap/core/error.hpp"
#include "hdap/network/onnx.hpp"
#include "hdap/network/safetensors.hpp"
#include "hdap/network/torchscript.hpp"
#include "hdap/network/zoo.hpp"
#include "hdap/storage/schema.hpp"
#include "hdap/storage/sealed_file.hpp"
#include "support/temporary_folder.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <cstdlib>
#include <fstream>

using namespace hdap;
using namespace hdap::network;
using Catch::Matchers::Contains;

namespace {

Network small_resnet() {
    return make_network(
        {.name = "resnet20", .width = 0.5, .classes = 10, .input_extent = {32, 32}});
}

bool same(const Weights& a, const Weights& b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const auto& x, const auto& y) {
        return x.first == y.first && x.second.shape == y.second.shape &&
               x.second.values == y.second.values;
    });
}

void write_plain(const std::filesystem::path& path, const std::vector<std::byte>& bytes) {
    std::ofstream(path, std::ios::binary)
        .write(reinterpret_cast<const char*>(bytes.data()), std::streamsize(bytes.size()));
}

Weights with_prefix(const Weights& weights, const std::string& prefix) {
    Weights result;
    for (const auto& [name, tensor] : weights)
        result.emplace(prefix + name, tensor);
    return result;
}

storage::Hdf5Writer state_dict(const Weights& weights) {
    storage::Hdf5Writer writer;
    for (const auto& [name, tensor] : weights)
        writer.write(name, tensor.values, {tensor.shape.begin(), tensor.shape.end()});
    writer.write<std::int64_t>("bn1.num_batches_tracked", {64'000});
    writer.write<float>("deeper/x", {1.0F});
    return writer;
}

std::string refusal(const std::filesystem::path& path) {
    try {
        load_weights(path);
    } catch (const core::DataError& error) {
        return error.what();
    }
    return "not refused";
}

} // namespace

TEST_CASE("weights of every format are recognised by content, not by name") {
    const test::TemporaryFolder folder;
    const Weights weights = initial_weights(small_resnet(), 1);

    storage::Hdf5Writer ours;
    storage::write_identity(ours,
                            {.schema = weights_schema, .config_sha256 = "", .input_sha256 = ""});
    write_weights(ours, weights);
    storage::write_sealed(folder / "ours.safetensors", ours.finish());
    write_safetensors(folder / "theirs.h5", weights);
    write_plain(folder / "state_dict", state_dict(weights).finish());
    write_torchscript(folder / "module.onnx", small_resnet(), weights);

    for (const auto& [name, format] :
         {std::pair{"ours.safetensors", "HDF5"}, std::pair{"theirs.h5", "safetensors"},
          std::pair{"state_dict", "HDF5"}, std::pair{"module.onnx", "TorchScript"}}) {
        CAPTURE(name);
        const WeightFile file = load_weights(folder / name);
        CHECK(file.format == format);
        CHECK(same(file.weights, weights));
        CHECK_FALSE(file.normalisation);
    }
}

TEST_CASE("the normalisation that an HDF5 file tells is offered") {
    const test::TemporaryFolder folder;
    const auto write = [&](const std::vector<double>& mean, const std::vector<double>& deviation) {
        storage::Hdf5Writer writer = state_dict(initial_weights(small_resnet(), 1));
        writer.attribute("/", "normalize_mean", mean);
        writer.attribute("/", "normalize_std", deviation);
        write_plain(folder / "w.h5", writer.finish());
    };
    write({0.5, 0.25, 0.125}, {1.0, 2.0, 4.0});
    const WeightFile file = load_weights(folder / "w.h5");
    REQUIRE(file.normalisation);
    CHECK(file.normalisation->mean == std::vector<double>{0.5, 0.25, 0.125});
    CHECK(file.normalisation->deviation == std::vector<double>{1.0, 2.0, 4.0});
    write({0.5, 0.25, 0.125}, {1.0, 2.0});
    CHECK_THAT(refusal(folder / "w.h5"), Contains("w.h5: normalize_mean and normalize_std"));
    write({0.5}, {0.0});
    CHECK_THAT(refusal(folder / "w.h5"), Contains("1e-6 or more"));
}

TEST_CASE("files that hold no weights are refused with the formats that are known") {
    const test::TemporaryFolder folder;
    CHECK_THAT(refusal(folder / "none.h5"), Contains("cannot open"));
    std::ofstream(folder / "text") << "conv1.weight = 3";
    CHECK_THAT(refusal(folder / "text"), Contains("text: 16 bytes of no known format") &&
                                             Contains("HDF5, safetensors, TorchScript"));
    std::ofstream(folder / "empty") << "";
    CHECK_THAT(refusal(folder / "empty"), Contains("0 bytes of no known format"));
    std::ofstream(folder / "old.pth") << "\x80\x02\x8a";
    CHECK_THAT(refusal(folder / "old.pth"), Contains("a pickle") && Contains("safetensors"));
    std::ofstream(folder / "torn.pt") << "PK\x03\x04 and so on";
    CHECK_THAT(refusal(folder / "torn.pt"), Contains("torn.pt: not a TorchScript archive"));
    storage::Hdf5Writer nothing;
    nothing.write<std::int64_t>("n", {1});
    write_plain(folder / "nothing.h5", nothing.finish());
    CHECK_THAT(refusal(folder / "nothing.h5"), Contains("holds no floating-point tensors"));
}

TEST_CASE("a truncated or overwritten state dict is refused or read, and nothing else") {
    const test::TemporaryFolder folder;
    const Weights weights{{"conv1.weight", {{4, 1, 3, 3}, std::vector<float>(36, 0.5F)}},
                          {"conv1.bias", {{4}, std::vector<float>(4, 0.5F)}}};
    const std::vector<std::byte> good = state_dict(weights).finish();
    for (std::size_t size = 0; size < good.size(); size += 97) {
        write_plain(folder / "w.h5", {good.begin(), good.begin() + std::ptrdiff_t(size)});
        CHECK_THROWS_AS(load_weights(folder / "w.h5"), core::DataError);
    }
    for (std::size_t i = 0; i < good.size(); i += 5) {
        std::vector<std::byte> damaged = good;
        damaged[i] ^= std::byte{0xFF};
        write_plain(folder / "w.h5", damaged);
        try {
            load_weights(folder / "w.h5");
        } catch (const core::DataError&) { // fine, too
        }
    }
}

TEST_CASE("fit_weights takes what the network uses, whatever wrappers called it") {
    const Network network = small_resnet();
    const Weights weights = initial_weights(network, 2);
    for (const char* prefix : {"", "module.", "model.", "_orig_mod.", "module._orig_mod."}) {
        CAPTURE(prefix);
        Weights wrapped = with_prefix(weights, prefix);
        wrapped[std::string(prefix) + "extra.weight"] = {{1}, {1.0F}};
        CHECK(same(fit_weights(network, wrapped, "w.h5"), weights));
    }
    // A network whose own names begin so.
    const Network yolo =
        make_network({.name = "yolov8n", .width = 0.25, .classes = 4, .input_extent = {64, 64}});
    const Weights of_yolo = initial_weights(yolo, 2);
    CHECK(same(fit_weights(yolo, of_yolo, "w.h5"), of_yolo));
    CHECK(same(fit_weights(yolo, with_prefix(of_yolo, "model."), "w.h5"), of_yolo));
}

TEST_CASE("fit_weights names the first tensor that does not fit, and says how many do") {
    const Network network = small_resnet();
    const Weights weights = initial_weights(network, 2);
    const auto refuses = [&](const Weights& given, const std::string& message) {
        std::string thrown;
        try {
            fit_weights(network, given, "w.h5");
        } catch (const core::DataError& error) {
            thrown = error.what();
        }
        CHECK_THAT(thrown, Contains(message));
        CHECK_THAT(thrown, Contains("w.h5: the weights do not fit network 'resnet20'"));
    };
    Weights missing = weights;
    missing.erase("layer1.0.bn1.weight");
    missing.erase("linear.bias");
    refuses(missing, "95 of its 97 tensors are there and fit, but 'layer1.0.bn1.weight' of shape "
                     "[8] is missing (did you mean 'layer1.0.bn2.weight'?)");
    Weights reshaped = weights;
    reshaped["linear.weight"] = {{5, 32}, std::vector<float>(160)};
    refuses(reshaped, "96 of its 97 tensors are there and fit, but 'linear.weight' of shape "
                      "[10, 32] has shape [5, 32] in the file (they are for 5 outputs, and 10 are "
                      "needed, one for each class");
    reshaped["linear.weight"] = {{10, 16}, std::vector<float>(160)};
    refuses(reshaped, "has shape [10, 16] in the file;");
    refuses(with_prefix(missing, "module."), "'module.layer1.0.bn1.weight'");
    refuses({}, "0 of its 97 tensors");
    // Not a prefix of all names: what it means is not clear.
    Weights mixed = with_prefix(weights, "module.");
    mixed["ema.decay"] = {{}, {0.9F}};
    refuses(mixed, "0 of its 97 tensors");
}

TEST_CASE("an ONNX model's initialisers serve as weights of the network that it holds") {
    const Network network = make_network({.name = "resnet20", .width = 0.5});
    const Weights weights = initial_weights(network, 3);
    WeightFile file = parse_weights(encode_onnx(network, weights), "model.onnx");
    CHECK(file.format == "ONNX");
    const Weights fitting = fit_weights(network, std::move(file.weights), "model.onnx");
    REQUIRE(fitting.size() == weights.size());
    for (const auto& [name, tensor] : weights)
        CHECK(fitting.at(name).values == tensor.values);
}

TEST_CASE("published state dicts fit the networks of the zoo, and tell their normalisation") {
    const char* const shared = std::getenv("HDAP_SHARED_DATA");
    const std::filesystem::path folder =
        shared == nullptr ? "" : std::filesystem::path(shared) / "models";
    if (!std::filesystem::exists(folder / "resnet20-cifar10.h5")) {
        WARN("skipped: HDAP_SHARED_DATA names no folder with models/resnet20-cifar10.h5");
        return;
    }
    for (const std::string name : {"resnet20", "resnet56"}) {
        const Network network =
            make_network({.name = name, .classes = 10, .input_extent = {32, 32}});
        const auto path = folder / (name + "-cifar10.h5");
        WeightFile file = load_weights(path);
        CHECK_NOTHROW(fit_weights(network, file.weights, path.string()));
        REQUIRE(file.normalisation);
        CHECK(file.normalisation->mean == std::vector<double>{0.485, 0.456, 0.406});
        CHECK(file.normalisation->deviation == std::vector<double>{0.229, 0.224, 0.225});
    }
}
