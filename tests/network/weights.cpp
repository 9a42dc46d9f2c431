#include "hdap/network/weights.hpp"

#include "hdap/core/error.hpp"
#include "hdap/network/zoo.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <cmath>

using namespace hdap;
using namespace hdap::network;
using Catch::Matchers::Contains;

namespace {

using Shape = std::vector<std::int64_t>;

Network small_mobilenet() {
    ZooRequest request;
    request.width = 0.25;
    request.classes = 10;
    request.input_channels = 1;
    request.input_extent = {28, 28};
    return make_network(request);
}

bool same_values(const Weights& a, const Weights& b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const auto& x, const auto& y) {
        return x.first == y.first && x.second.shape == y.second.shape &&
               x.second.values == y.second.values;
    });
}

} // namespace

TEST_CASE("check_weights names the tensor that is missing or does not fit") {
    const Network network = small_mobilenet();
    const Weights good = initial_weights(network, 1);
    CHECK_NOTHROW(check_weights(network, good));

    Weights missing = good;
    missing.erase("stem.bn.running_var");
    CHECK_THROWS_AS(check_weights(network, missing), core::DataError);
    CHECK_THROWS_WITH(check_weights(network, missing),
                      Contains("lack 'stem.bn.running_var' of shape [8]"));

    Weights reshaped = good;
    reshaped["stem.conv.weight"].shape = {8, 3, 3, 1};
    CHECK_THROWS_WITH(check_weights(network, reshaped),
                      Contains("'stem.conv.weight' has shape [8, 3, 3, 1]") &&
                          Contains("expects [8, 1, 3, 3]"));

    Weights torn = good;
    torn["classifier.bias"].values.pop_back();
    CHECK_THROWS_WITH(check_weights(network, torn),
                      Contains("'classifier.bias' of shape [10] holds 9 values"));

    Weights extra = good;
    extra["stem.bn.num_batches_tracked"] = {{}, {7.0F}};
    CHECK_NOTHROW(check_weights(network, extra));
}

TEST_CASE(
    "check_values names file, tensor, channel and value of what nothing can be computed with") {
    const Network network = small_mobilenet();
    const Weights good = initial_weights(network, 1);
    CHECK_NOTHROW(check_values(network, good, "w.h5"));
    const auto refuses = [&](const char* tensor, std::size_t index, float value,
                             const std::string& message) {
        Weights bad = good;
        bad.at(tensor).values.at(index) = value;
        CHECK_THROWS_AS(check_values(network, bad, "w.h5"), core::DataError);
        CHECK_THROWS_WITH(check_values(network, bad, "w.h5"), Contains(message));
    };
    const float nan = std::numeric_limits<float>::quiet_NaN();
    const float infinity = std::numeric_limits<float>::infinity();
    refuses("stem.conv.weight", 2 * 9 + 4, nan,
            "w.h5: tensor 'stem.conv.weight' holds nan in channel 2");
    refuses("stem.conv.weight", 0, -infinity, "holds -inf in channel 0");
    refuses("stem.conv.weight", 71, infinity, "holds inf in channel 7");
    refuses("stem.bn.running_mean", 3, infinity, "'stem.bn.running_mean' holds inf in channel 3");
    refuses("stem.bn.running_var", 5, nan, "'stem.bn.running_var' holds nan in channel 5");
    refuses("stem.bn.running_var", 5, -1e-3F,
            "'stem.bn.running_var' holds -0.001 in channel 5, but no variance is below zero");
    refuses("classifier.bias", 9, nan, "'classifier.bias' holds nan in channel 9");
    refuses("classifier.weight", 9 * 256 + 255, nan, "'classifier.weight' holds nan in channel 9");

    Weights odd = good;
    odd["unused"] = {{1}, {nan}};
    odd.at("stem.bn.running_var").values[0] = -0.0F;
    odd.at("stem.conv.weight").values[0] = -std::numeric_limits<float>::max();
    CHECK_NOTHROW(check_values(network, odd, "w.h5"));
}

TEST_CASE("expected_shapes uses PyTorch's names and layouts") {
    const auto shapes = expected_shapes(small_mobilenet());
    CHECK(shapes.size() == 27 * 5 + 2);
    CHECK(shapes.at("stem.conv.weight") == Shape{8, 1, 3, 3});
    CHECK(shapes.at("blocks.0.depthwise.conv.weight") == Shape{8, 1, 3, 3});
    CHECK(shapes.at("blocks.0.pointwise.conv.weight") == Shape{16, 8, 1, 1});
    CHECK(shapes.at("blocks.12.pointwise.bn.running_mean") == Shape{256});
    CHECK(shapes.at("classifier.weight") == Shape{10, 256});
    CHECK(shapes.at("classifier.bias") == Shape{10});
    CHECK(shapes.count("stem.conv.bias") == 0);
}

TEST_CASE("initial weights depend on the seed only") {
    const Network network = small_mobilenet();
    CHECK(same_values(initial_weights(network, 5), initial_weights(network, 5)));
    CHECK_FALSE(same_values(initial_weights(network, 5), initial_weights(network, 6)));
}

TEST_CASE("initial weights have the variance of He et al. and an identity batch norm") {
    const Network network = small_mobilenet();
    const Weights weights = initial_weights(network, 3);
    const Tensor& pointwise = weights.at("blocks.12.pointwise.conv.weight"); // 256 × 256
    double sum = 0.0;
    double squares = 0.0;
    for (const float value : pointwise.values) {
        sum += value;
        squares += static_cast<double>(value) * value;
    }
    const auto count = static_cast<double>(pointwise.values.size());
    CHECK(sum / count == Approx(0.0).margin(0.002));
    CHECK(squares / count == Approx(2.0 / 256.0).epsilon(0.03));

    const auto all = [&](const char* name, float expected) {
        const std::vector<float>& values = weights.at(name).values;
        return std::all_of(values.begin(), values.end(),
                           [&](float value) { return value == expected; });
    };
    CHECK(all("stem.bn.weight", 1.0F));
    CHECK(all("stem.bn.bias", 0.0F));
    CHECK(all("stem.bn.running_mean", 0.0F));
    CHECK(all("stem.bn.running_var", 1.0F));

    const std::vector<float>& linear = weights.at("classifier.weight").values;
    const auto [low, high] = std::minmax_element(linear.begin(), linear.end());
    CHECK(*low >= -1.0F / 16.0F);
    CHECK(*high <= 1.0F / 16.0F);
    CHECK(*high - *low > 1.9F / 16.0F);
}

TEST_CASE("write_weights refuses what a file cannot hold") {
    const auto refuses = [](const Weights& weights, const std::string& message) {
        storage::Hdf5Writer writer;
        std::string thrown;
        try {
            write_weights(writer, weights);
        } catch (const core::DataError& error) {
            thrown = error.what();
        }
        CHECK_THAT(thrown, Contains(message));
    };
    refuses({{"", {{1}, {1.0F}}}}, "cannot be stored as ''");
    refuses({{".", {{1}, {1.0F}}}}, "cannot be stored as '.'");
    refuses({{"a/b", {{1}, {1.0F}}}}, "cannot be stored as 'a/b'");
    refuses({{"x", {{3, -1}, {}}}}, "'x' of shape [3, -1] holds 0 values");
    refuses({{"y", {{3}, {1.0F}}}}, "'y' of shape [3] holds 1 value");
}

TEST_CASE("weights survive a file bit for bit") {
    const Network network = small_mobilenet();
    Weights weights = initial_weights(network, 11);
    weights["scalar"] = {{}, {-0.0F}};
    weights["odd"] = {{2, 0, 3}, {}};
    storage::Hdf5Writer writer;
    write_weights(writer, weights);
    const Weights again =
        read_weights(storage::Hdf5Reader::from_bytes(writer.finish(), "weights.h5"));
    CHECK(same_values(weights, again));
    CHECK(std::signbit(again.at("scalar").values.at(0)));
    CHECK_NOTHROW(check_weights(network, again));
}

TEST_CASE("read_weights takes the floating-point data sets and nothing else") {
    storage::Hdf5Writer writer;
    writer.write<double>("/parameters/a.weight", {0.5, 0.25}, {2, 1});
    writer.write<std::int64_t>("/parameters/bn.num_batches_tracked", {7});
    writer.write<float>("/parameters/deeper/b", {1.0F});
    writer.write<float>("/elsewhere", {1.0F});
    const Weights weights =
        read_weights(storage::Hdf5Reader::from_bytes(writer.finish(), "weights.h5"));
    REQUIRE(weights.size() == 1);
    CHECK(weights.at("a.weight").shape == Shape{2, 1});
    CHECK(weights.at("a.weight").values == std::vector<float>{0.5F, 0.25F});

    storage::Hdf5Writer empty;
    const auto file = storage::Hdf5Reader::from_bytes(empty.finish(), "empty.h5");
    CHECK_THROWS_AS(read_weights(file), core::DataError);
    CHECK_THROWS_WITH(read_weights(file), Contains("empty.h5: no group '/parameters'"));
}
