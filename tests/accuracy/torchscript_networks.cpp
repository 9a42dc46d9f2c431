#include "hdap/accuracy/inference.hpp"
#include "hdap/network/torchscript.hpp"
#include "hdap/network/zoo.hpp"
#include "network/torchscript/samples.hpp"

#include <catch2/catch.hpp>

using namespace hdap;
using namespace hdap::network::testing;

namespace {

std::vector<float> joined(const std::vector<std::vector<float>>& outputs) {
    std::vector<float> result;
    for (const std::vector<float>& output : outputs)
        result.insert(result.end(), output.begin(), output.end());
    return result;
}

/// The file computes what the network does when LibTorch loads it, and when we do.
void check_round_trip(const network::PrunedNetwork& sample) {
    const auto bytes = network::torchscript_bytes(sample.network, sample.weights);
    const std::vector<float> images = random_images(sample.network, 2, 1);
    const auto expected = joined(accuracy::run_network(sample.network, sample.weights, images));
    torch::jit::Module module = load_torchscript(bytes);
    const network::TensorShape input = network::infer_shapes(sample.network).front();
    CHECK(worst_difference(torchscript_values(module, images, input), expected) < 1e-4);
    const network::PrunedNetwork again =
        network::parse_torchscript(bytes, "network.pt", std::nullopt);
    CHECK(worst_difference(joined(accuracy::run_network(again.network, again.weights, images)),
                           expected) < 1e-4);
    REQUIRE(again.weights.size() == sample.weights.size());
    for (const auto& [name, tensor] : again.weights) {
        CAPTURE(name);
        CHECK(tensor.values == sample.weights.at(name).values);
    }
}

} // namespace

TEST_CASE("Every network of the zoo survives TorchScript, pruned and not") {
    for (const std::string& name : network::zoo_names()) {
        CAPTURE(name);
        const network::Network network = network::make_network(
            {.name = name, .width = 0.25, .classes = 10, .input_extent = {32, 32}});
        // Not random batch norms: over a hundred layers of them numbers would grow beyond measure.
        const network::Weights weights = network::initial_weights(network, 1);
        check_round_trip({network, weights});
        check_round_trip(randomly_pruned(network, weights, 1));
    }
}

TEST_CASE("Random networks survive TorchScript, pruned and not") {
    for (std::uint32_t seed = 0; seed < 100; ++seed) {
        CAPTURE(seed);
        const network::Network network = random_network(seed);
        const network::Weights weights = random_weights(network, seed);
        check_round_trip({network, weights});
        check_round_trip(randomly_pruned(network, weights, seed));
    }
}
