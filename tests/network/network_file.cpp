#include "hdap/network/network_file.hpp"

#include "hdap/core/error.hpp"
#include "hdap/network/zoo.hpp"
#include "network/random_network.hpp"

#include <catch2/catch.hpp>

using namespace hdap;
using namespace hdap::network;
using Catch::Matchers::Contains;

namespace {

const std::string smallest = R"({"name": "n", "input": [4, 4], "nodes": [
    {"name": "input", "op": "input", "output_channels": 3},
    {"name": "conv", "op": "conv2d", "inputs": ["input"], "output_channels": 2}]})";

std::string replaced(const std::string& what, const std::string& with) {
    std::string text = smallest;
    return text.replace(text.find(what), what.size(), with);
}

void refuses(const std::string& text, const std::string& message) {
    CHECK_THROWS_AS(network_from_json(text, "file.h5"), core::DataError);
    CHECK_THROWS_WITH(network_from_json(text, "file.h5"),
                      Contains("file.h5: ") && Contains(message));
}

storage::Hdf5Reader stored(storage::Hdf5Writer& writer) {
    return storage::Hdf5Reader::from_bytes(writer.finish(), "stored.h5");
}

} // namespace

TEST_CASE("network_from_json says what is wrong, and in which node") {
    CHECK(network_from_json(smallest, "file.h5").nodes.size() == 2);
    refuses("", "the graph is not JSON");
    refuses("[]", "expected an object, got []");
    refuses(std::string(100'000, '['), "the graph is not JSON");
    refuses(replaced("\"input\":", "\"inptu\":"), "unknown field 'inptu' (did you mean 'input'?)");
    refuses(replaced("[4, 4]", "4"), "expected [height, width], got 4");
    refuses(replaced("[4, 4]", "[4, 0]"), "input width is 0");
    refuses(replaced("conv2d", "conv3d"),
            "node 1: unknown operator 'conv3d' (did you mean 'conv2d'?)");
    refuses(replaced("[\"input\"]", "[\"conv\"]"), "node 1: 'conv' is no earlier node");
    refuses(replaced("[\"input\"]", "[0]"), "node 1: expected a text, got 0");
    refuses(replaced("\"inputs\"", "\"kernle\""),
            "unknown field 'kernle' (did you mean 'kernel'?)");
    refuses(replaced("\"output_channels\": 2", "\"output_channels\": 2.5"),
            "node 1: expected an integer, got 2.5");
    refuses(replaced("\"output_channels\": 2", "\"output_channels\": 2, \"bias\": 1"),
            "expected true or false, got 1");
    refuses(replaced("\"output_channels\": 2", "\"output_channels\": 99999999999999"),
            "output_channels is 99999999999999");
    refuses(replaced("\"nodes\"", "\"outputs\": [\"last\"], \"nodes\""),
            "'last' is no earlier node");
    refuses(R"({"name": "n", "input": [4, 4], "nodes": []})", "has 0 nodes");
}

TEST_CASE("read_network refuses a file without a graph, and weights that do not fit") {
    const Network network = network_from_json(smallest, "");
    Weights weights = initial_weights(network, 1);
    storage::Hdf5Writer without;
    write_weights(without, weights);
    CHECK_THROWS_WITH(read_network(stored(without)),
                      Contains("stored.h5: no data set '/graph'") && Contains("zoo"));
    weights.at("conv.weight").shape = {2, 3, 1, 1, 1};
    storage::Hdf5Writer wrong;
    write_network(wrong, {network, weights});
    CHECK_THROWS_WITH(read_network(stored(wrong)),
                      Contains("stored.h5: tensor 'conv.weight' has shape [2, 3, 1, 1, 1]"));
}

TEST_CASE("a network file reads back to the same network and weights") {
    const auto check = [](const Network& network, std::uint32_t seed) {
        const PrunedNetwork written{network, testing::random_weights(network, seed)};
        storage::Hdf5Writer writer;
        write_network(writer, written);
        const PrunedNetwork read = read_network(stored(writer));
        CHECK(read.network.name == network.name);
        CHECK(read.network.outputs == network.outputs);
        CHECK(infer_shapes(read.network) == infer_shapes(network));
        CHECK(network_as_json(read.network) == network_as_json(network));
        REQUIRE(read.weights.size() == written.weights.size());
        for (const auto& [name, tensor] : written.weights)
            CHECK(read.weights.at(name).values == tensor.values);
    };
    for (std::uint32_t seed = 0; seed < 50; ++seed)
        check(testing::random_network(seed), seed);
    for (const std::string& name : zoo_names())
        check(make_network({.name = name,
                            .width = 0.125,
                            .classes = 10,
                            .input_channels = 3,
                            .input_extent = {32, 32}}),
              1);
}
