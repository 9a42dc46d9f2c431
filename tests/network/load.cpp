#include "hdap/network/load.hpp"

#include "hdap/core/error.hpp"
#include "hdap/network/onnx.hpp"
#include "hdap/network/safetensors.hpp"
#include "hdap/storage/sealed_file.hpp"
#include "support/temporary_folder.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <tuple>

using namespace hdap;
using namespace hdap::network;
using Catch::Matchers::Contains;

namespace {

PrunedNetwork small_resnet() {
    Network network =
        make_network({.name = "resnet20", .width = 0.25, .classes = 10, .input_extent = {8, 8}});
    Weights weights = initial_weights(network, 1);
    return {std::move(network), std::move(weights)};
}

NetworkSource source_of(const std::string& network, const std::string& weights = {}) {
    NetworkSource source;
    source.network = network;
    source.weights = weights;
    return source;
}

bool same_values(const Weights& a, const Weights& b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const auto& x, const auto& y) {
        return x.first == y.first && x.second.values == y.second.values;
    });
}

} // namespace

TEST_CASE("a network comes back from a file of any format with its weights and normalisation") {
    const test::TemporaryFolder folder;
    const PrunedNetwork network = small_resnet();
    Normalisation normalisation{{0.1 + 0.2, 0.5, 0.0}, {0.25, 1.0 / 3.0, 1.0}};
    for (const std::string& format : network_file_formats()) {
        CAPTURE(format);
        const auto file = folder / ("network" + format);
        for (const ChannelOrder order : {ChannelOrder::rgb, ChannelOrder::bgr}) {
            normalisation.order = order;
            save_network(file, network, normalisation);
            const LoadedNetwork loaded = load_network(source_of(file));
            CHECK(infer_shapes(loaded.network).front() == infer_shapes(network.network).front());
            CHECK(same_values(loaded.weights.value(), network.weights));
            CHECK(loaded.normalisation == normalisation);
            CHECK(load_weights(file).normalisation == normalisation);
        }
        save_network(file, network);
        CHECK_FALSE(load_network(source_of(file)).normalisation);
        CHECK_FALSE(load_weights(file).normalisation);
    }
    CHECK_THROWS_WITH(save_network(folder / "network.txt", network),
                      Contains("network.txt") && Contains(".onnx"));
}

TEST_CASE("weights of another file replace those of the network's, with their normalisation") {
    const test::TemporaryFolder folder;
    PrunedNetwork network = small_resnet();
    save_network(folder / "a.onnx", network, Normalisation{{0.0, 0.0, 0.0}, {1.0, 1.0, 1.0}});
    network.weights = initial_weights(network.network, 2);
    const Normalisation other{{0.5, 0.5, 0.5}, {0.25, 0.25, 0.25}};
    save_network(folder / "b.pt", network, other);
    const LoadedNetwork loaded = load_network(source_of(folder / "a.onnx", folder / "b.pt"));
    CHECK(same_values(loaded.weights.value(), network.weights));
    CHECK(loaded.normalisation == other);
}

TEST_CASE("weights that are not numbers are refused from every format, with file and tensor") {
    const test::TemporaryFolder folder;
    const auto refuses = [](const NetworkSource& source, const std::string& file,
                            const std::string& problem) {
        CAPTURE(file);
        CHECK_THROWS_AS(load_network(source), core::DataError);
        CHECK_THROWS_WITH(load_network(source), Contains(file + ": ") && Contains(problem));
    };
    const PrunedNetwork good = small_resnet();
    save_network(folder / "good.h5", good);
    const std::tuple<const char*, std::size_t, float, const char*> faults[] = {
        {"layer1.0.conv1.weight", 2 * 8 * 9, NAN, "'layer1.0.conv1.weight' holds nan in channel 2"},
        {"layer2.0.bn1.running_var", 5, -1.0F, "'layer2.0.bn1.running_var' holds -1 in channel 5"},
        {"linear.bias", 9, INFINITY, "'linear.bias' holds inf in channel 9"}};
    for (const auto& [tensor, index, value, problem] : faults) {
        PrunedNetwork bad = good;
        bad.weights.at(tensor).values.at(index) = value;
        write_safetensors(folder / "bad.safetensors", bad.weights);
        refuses(source_of(folder / "good.h5", folder / "bad.safetensors"),
                folder / "bad.safetensors", problem);
        for (const std::string& format : network_file_formats()) {
            const std::string file = folder / ("bad" + format);
            save_network(file, bad);
            refuses(source_of(file), file, problem);
            refuses(source_of(folder / "good.h5", file), file, problem);
        }
    }
}

TEST_CASE("a double that is too large for 32 bits is refused, not made infinite") {
    const test::TemporaryFolder folder;
    const PrunedNetwork network = small_resnet();
    save_network(folder / "good.h5", network);
    storage::Hdf5Writer writer;
    for (const auto& [name, tensor] : network.weights) {
        std::vector<double> values(tensor.values.begin(), tensor.values.end());
        if (name == "linear.bias") values[3] = 1e300;
        writer.write<double>(name, values, {tensor.shape.begin(), tensor.shape.end()});
    }
    storage::write_sealed(folder / "double.h5", writer.finish());
    CHECK_THROWS_WITH(load_network(source_of(folder / "good.h5", folder / "double.h5")),
                      Contains("'linear.bias' holds inf in channel 3") && Contains("32 bits"));
}

TEST_CASE("a normalisation in ONNX metadata that cannot be used is refused with the file") {
    const test::TemporaryFolder folder;
    const PrunedNetwork network = small_resnet();
    const auto file = folder / "odd.onnx";
    write_onnx(file, network.network, network.weights, {.normalisation = {{{0.5}, {0.0}}}});
    CHECK_THROWS_WITH(load_network(source_of(file)),
                      Contains("odd.onnx") && Contains("normalize_std"));
}

TEST_CASE("what is neither a file nor in the zoo is refused with the nearest name") {
    const test::TemporaryFolder folder;
    CHECK_THROWS_WITH(load_network(source_of("resnet21")),
                      Contains("'resnet21' is neither a file") && Contains("did you mean"));
    CHECK_THROWS_AS(load_network(source_of(folder / "")), core::ConfigError);
    NetworkSource stopped = source_of("resnet20");
    stopped.stop_at = {"conv1"};
    CHECK_THROWS_WITH(load_network(stopped), Contains("no ONNX file") && Contains("conv1"));
}

TEST_CASE("a file that takes other images than are asked for is refused with both shapes") {
    const test::TemporaryFolder folder;
    for (const std::string& format : network_file_formats()) {
        if (format == ".pt") continue; // believes what it is told
        CAPTURE(format);
        const auto file = folder / ("network" + format);
        save_network(file, small_resnet());
        NetworkSource grey = source_of(file);
        grey.input = {1, {8, 8}};
        CHECK_THROWS_WITH(load_network(grey),
                          Contains("3 channels of 8 x 8, not 1 channel of 8 x 8"));
    }
}
