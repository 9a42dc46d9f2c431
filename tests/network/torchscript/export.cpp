#include "hdap/core/error.hpp"
#include "hdap/network/torchscript.hpp"
#include "hdap/network/zoo.hpp"
#include "network/torchscript/samples.hpp"
#include "support/temporary_folder.hpp"

#include <catch2/catch.hpp>

#include <fstream>
#include <map>

using namespace hdap;
using namespace hdap::network;
using namespace hdap::network::testing;
using Catch::Matchers::Contains;

namespace {

Network small(const std::string& name) {
    return make_network({.name = name, .width = 0.25, .classes = 10, .input_extent = {32, 32}});
}

/// The exported network's outputs for one image, one after the other.
std::vector<float> exported_forward(const Network& network, const Weights& weights,
                                    const std::vector<float>& image) {
    torch::jit::Module module = load_torchscript(torchscript_bytes(network, weights));
    return torchscript_values(module, image, infer_shapes(network).front());
}

double difference_from_plain_loops(const PrunedNetwork& sample, std::uint32_t seed) {
    const std::vector<float> image = random_images(sample.network, 1, seed);
    return worst_difference(
        exported_forward(sample.network, sample.weights, image),
        reference_forward(sample.network, sample.weights, FeatureMap(image.begin(), image.end())));
}

} // namespace

TEST_CASE("an exported random network computes what plain loops do, pruned and not") {
    for (std::uint32_t seed = 0; seed < 100; ++seed) {
        CAPTURE(seed);
        const Network network = random_network(seed);
        const Weights weights = random_weights(network, seed);
        CHECK(difference_from_plain_loops({network, weights}, seed) < 1e-4);
        CHECK(difference_from_plain_loops(randomly_pruned(network, weights, seed), seed) < 1e-4);
    }
}

TEST_CASE("an exported classifier returns a row of logits for each image of a batch") {
    const Network network = small("resnet20");
    const Weights weights = random_weights(network, 1);
    torch::jit::Module module = load_torchscript(torchscript_bytes(network, weights));
    const std::vector<float> images = random_images(network, 3, 1);
    const auto outputs = run_torchscript(module, images, {3, {32, 32}});
    REQUIRE(outputs.size() == 1);
    CHECK(outputs[0].sizes() == std::vector<std::int64_t>{3, 10});
    const std::vector<float> second(images.begin() + 3 * 32 * 32, images.begin() + 2 * 3 * 32 * 32);
    CHECK(worst_difference(values_of(outputs[0][1]), exported_forward(network, weights, second)) <
          1e-5);
}

TEST_CASE("several outputs are a tuple, and maps keep their extent") {
    const Network network = small("yolov8n");
    torch::jit::Module module =
        load_torchscript(torchscript_bytes(network, random_weights(network, 1)));
    const auto outputs = run_torchscript(module, random_images(network, 2, 1), {3, {32, 32}});
    REQUIRE(outputs.size() == 6);
    CHECK(outputs[0].sizes() == std::vector<std::int64_t>{2, 64, 4, 4});
    // An output of 1 × 1 is flat.
    CHECK(outputs[2].sizes() == std::vector<std::int64_t>{2, 64});
}

TEST_CASE("the state dict of an exported network has the weights' names, and no other") {
    const Network network = small("mobilenet_v2");
    Weights weights = random_weights(network, 1);
    weights["unused"] = {{1}, {1.0F}};
    const torch::jit::Module module = load_torchscript(torchscript_bytes(network, weights));
    std::map<std::string, bool> found;
    for (const auto& parameter : module.named_parameters())
        found[parameter.name] = true;
    for (const auto& buffer : module.named_buffers())
        found[buffer.name] = false;
    const auto expected = expected_shapes(network);
    REQUIRE(found.size() == expected.size());
    for (const auto& [name, shape] : expected) {
        REQUIRE(found.count(name) == 1);
        CHECK(found.at(name) == (name.find(".running_") == std::string::npos));
    }
    const at::Tensor weight = module.attr("features")
                                  .toModule()
                                  .attr("0")
                                  .toModule()
                                  .attr("0")
                                  .toModule()
                                  .attr("weight")
                                  .toTensor();
    CHECK(values_of(weight) == weights.at("features.0.0.weight").values);
}

TEST_CASE("an exported network can be frozen, and set to training mode") {
    const Network network = small("mobilenet_v2");
    const Weights weights = random_weights(network, 1);
    const std::vector<float> images = random_images(network, 2, 1);
    torch::jit::Module module = load_torchscript(torchscript_bytes(network, weights));
    const auto run = [&](torch::jit::Module& changed) {
        return values_of(run_torchscript(changed, images, {3, {32, 32}})[0]);
    };
    const std::vector<float> expected = run(module);
    CHECK_FALSE(module.is_training());
    module.train();
    CHECK(run(module) == expected);
    module.eval();
    torch::jit::Module frozen = torch::jit::freeze(module);
    CHECK(worst_difference(run(frozen), expected) < 1e-4);
}

TEST_CASE("an export is written as a whole, over an older one") {
    const test::TemporaryFolder folder;
    const Network network = small("resnet20");
    const Weights weights = random_weights(network, 1);
    std::ofstream(folder / "network.pt") << "an older file";
    write_torchscript(folder / "network.pt", network, weights);
    torch::jit::Module module = torch::jit::load((folder / "network.pt").string());
    CHECK(run_torchscript(module, random_images(network, 1, 1), {3, {32, 32}}).size() == 1);
    CHECK_THROWS_AS(write_torchscript(folder / "none" / "network.pt", network, weights),
                    core::InternalError);
}

TEST_CASE("what TorchScript cannot hold is refused") {
    Network network = small("resnet20");
    const Weights weights = random_weights(network, 1);
    CHECK_THROWS_AS(torchscript_bytes(network, {}), core::DataError);
    const auto renamed = [&](const std::string& name) {
        Network result = network;
        result.nodes[1].name = name; // conv1
        return result;
    };
    for (const char* name :
         {"a..b", ".a", "a.", "bn1.weight", "a\"b", "a'b", "a\\b", "a\nb", "µ"}) {
        CAPTURE(name);
        Weights fitting = weights;
        fitting[std::string(name) + ".weight"] = weights.at("conv1.weight");
        CHECK_THROWS_WITH(torchscript_bytes(renamed(name), fitting), Contains("cannot be called"));
    }
    Weights fitting = weights;
    fitting["1 - x (y).weight"] = weights.at("conv1.weight");
    const auto bytes = torchscript_bytes(renamed("1 - x (y)"), fitting);
    torch::jit::Module module = load_torchscript(bytes);
    CHECK(run_torchscript(module, random_images(network, 1, 1), {3, {32, 32}}).size() == 1);
}
