#include "surrogate/gbrt_surrogate.hpp"

#include "hdap/core/error.hpp"
#include "hdap/network/search_space.hpp"
#include "hdap/network/zoo.hpp"
#include "surrogate/gbrt_fit.hpp"
#include "surrogate/owned_network.hpp"
#include "surrogate/random_forest.hpp"
#include "surrogate/synthetic_profile.hpp"

#include <catch2/catch.hpp>

#include <functional>
#include <limits>
#include <memory>
#include <utility>

using namespace hdap;
using Catch::Matchers::Contains;
using fleet::Profile;
using surrogate::GbrtSurrogate;

namespace {

/// This kind looks at the profile alone.
const test::OwnedNetwork any_network;

constexpr surrogate::GbrtParameters quick{.trees = 30, .depth = 3, .learning_rate = 0.2};

/// The arrays of a small file of surrogates, to be damaged.
struct FileContent {
    std::string kind = "gbrt";
    std::vector<std::string> group_names{"a", "b"};
    std::vector<std::int32_t> unpruned_channels{8, 4};
    std::vector<double> unpruned_latency_ms{10, 20};
    std::vector<double> metrics{0.1, 0.2};
    std::int64_t genes = 2;
    std::vector<float> base_score{1, 2};
    std::vector<std::int64_t> trees{1, 1};
    std::vector<std::int64_t> nodes{3, 1};
    std::vector<std::int32_t> feature{1, -1, -1, -1};
    std::vector<float> threshold{0.5F, 0, 0, 0};
    std::vector<std::int32_t> left{1, 0, 0, 0};
    std::vector<std::int32_t> right{2, 0, 0, 0};
    std::vector<float> value{0, 0.25F, 0.75F, 0.5F};

    std::unique_ptr<surrogate::Surrogate> read() const {
        storage::Hdf5Writer file;
        file.attribute("/", "kind", kind);
        file.write("/unpruned_channels", unpruned_channels);
        file.write_strings("/group_names", group_names);
        file.write("/unpruned_latency_ms", unpruned_latency_ms);
        for (const char* name : {"mape", "rmse_ms", "r_squared", "kendall_tau"})
            file.write(std::string("/cross_validation/") + name, metrics);
        file.write("/forests/base_score", base_score);
        file.write("/forests/trees", trees);
        file.write("/forests/nodes", nodes);
        file.write("/forests/feature", feature);
        file.write("/forests/threshold", threshold);
        file.write("/forests/left", left);
        file.write("/forests/right", right);
        file.write("/forests/value", value);
        file.attribute("/forests", "genes", genes);
        return surrogate::read_surrogate(storage::Hdf5Reader::from_bytes(file.finish(), "s.h5"),
                                         any_network.view());
    }
};

/// The message with which read_surrogate refuses the file after `damage`.
template <class Damage>
std::string refusal(Damage damage) {
    FileContent content;
    damage(content);
    try {
        content.read();
    } catch (const core::DataError& error) {
        return error.what();
    }
    return "";
}

bool equal(const surrogate::ErrorMetrics& a, const surrogate::ErrorMetrics& b) {
    return a.mape == b.mape && a.rmse == b.rmse && a.r_squared == b.r_squared &&
           a.kendall_tau == b.kendall_tau;
}

} // namespace

TEST_CASE("a surrogate refuses parts that do not fit together", "[gbrt_surrogate]") {
    const auto build = [](const std::function<void(surrogate::GbrtParts&)>& change) {
        surrogate::GbrtParts parts{.forests = {test::random_forest(0, 2, 2, 3)},
                                   .unpruned_latency_ms = {1},
                                   .cross_validation = std::vector<surrogate::ErrorMetrics>(1),
                                   .group_names = {"a", "b", "c"},
                                   .unpruned_channels = {8, 4, 4}};
        change(parts);
        return GbrtSurrogate(std::move(parts));
    };
    using Parts = surrogate::GbrtParts;
    constexpr double infinity = std::numeric_limits<double>::infinity();
    CHECK_NOTHROW(build([](Parts&) {}));
    CHECK_THROWS_AS(build([](Parts& p) { p = {}; }), core::DataError);
    CHECK_THROWS_AS(build([](Parts& p) { p.unpruned_latency_ms = {1, 2}; }), core::DataError);
    CHECK_THROWS_AS(build([](Parts& p) { p.cross_validation.clear(); }), core::DataError);
    CHECK_THROWS_AS(build([](Parts& p) { p.group_names.clear(); }), core::DataError);
    CHECK_THROWS_AS(build([](Parts& p) { p.unpruned_channels.pop_back(); }), core::DataError);
    CHECK_THROWS_AS(build([](Parts& p) { p.unpruned_channels[1] = 0; }), core::DataError);
    CHECK_THROWS_AS(build([](Parts& p) { p.unpruned_latency_ms = {0}; }), core::DataError);
    CHECK_THROWS_AS(build([](Parts& p) { p.unpruned_latency_ms = {infinity}; }), core::DataError);
}

TEST_CASE("a fit refuses what it cannot fit", "[gbrt_surrogate]") {
    const Profile profile = test::synthetic_profile(10, 3, 2);
    CHECK_THROWS_AS(surrogate::fit_gbrt_surrogate(Profile{}, quick, 1), core::DataError);
    CHECK_THROWS_AS(surrogate::fit_gbrt_surrogate(profile, {.trees = 0}, 1), core::ConfigError);
    CHECK_THROWS_WITH(surrogate::fit_gbrt_surrogate(profile, quick, 1, 1),
                      Contains("folds, not 1"));
    CHECK_THROWS_AS(surrogate::fit_gbrt_surrogate(profile, quick, -1), core::ConfigError);
    CHECK_THROWS_WITH(surrogate::fit_gbrt_surrogate(test::synthetic_profile(1, 3, 2), quick, 1),
                      Contains("2 candidates"));
    CHECK_NOTHROW(surrogate::fit_gbrt_surrogate(test::synthetic_profile(2, 3, 2), quick, 1));
}

TEST_CASE("a fit gives the same bits for any number of threads", "[gbrt_surrogate]") {
    const Profile profile = test::synthetic_profile(60, 5, 3);
    const auto one = surrogate::fit_gbrt_surrogate(profile, quick, 1);
    const auto four = surrogate::fit_gbrt_surrogate(profile, quick, 4);
    REQUIRE(one->clusters() == 3);
    CHECK(one->forests() == four->forests());
    for (std::size_t k = 0; k < 3; ++k) {
        CHECK(equal(one->cross_validation()[k], four->cross_validation()[k]));
        CHECK(one->unpruned_latency_ms()[k] == profile.unpruned_latency_ms(k));
    }
    CHECK(one->group_names() == profile.group_names);
    CHECK(one->unpruned_channels() == profile.genomes.front());
}

TEST_CASE("features are the search space's keep ratios in single precision", "[gbrt_surrogate]") {
    const network::SearchSpace space(network::make_network({.name = "mobilenet_v1"}), {});
    std::vector<network::Genome> genomes{space.unpruned(), space.smallest()};
    for (const double ratio : {0.3, 0.55, 0.77})
        genomes.push_back(space.uniform(ratio));
    std::vector<float> expected;
    for (const network::Genome& genome : genomes)
        for (const double ratio : space.keep_ratios(genome))
            expected.push_back(static_cast<float>(ratio));
    CHECK(surrogate::keep_ratios(genomes, space.unpruned(), 2) == expected);
}

TEST_CASE("a cluster's forest is fitted to its latency over its unpruned latency",
          "[gbrt_surrogate]") {
    const Profile profile = test::synthetic_profile(40, 4, 2);
    const auto fitted = surrogate::fit_gbrt_surrogate(profile, quick, 2);
    const auto features = surrogate::keep_ratios(profile.genomes, profile.genomes[0], 1);
    for (std::size_t k = 0; k < 2; ++k) {
        std::vector<float> targets;
        for (std::size_t i = 0; i < 40; ++i)
            targets.push_back(
                static_cast<float>(profile.latency_ms[k * 40 + i] / profile.latency_ms[k * 40]));
        CHECK(fitted->forests()[k] == surrogate::fit_gbrt(features, 40, 4, targets, quick));
    }
}

TEST_CASE("cross-validation judges by candidates that were not learnt", "[gbrt_surrogate]") {
    const Profile profile = test::synthetic_profile(300, 5, 2);
    const auto fitted = surrogate::fit_gbrt_surrogate(profile, quick, 2);
    std::vector<double> predicted(300 * 2);
    fitted->predict(profile.genomes, predicted, 1);
    for (std::size_t k = 0; k < 2; ++k) {
        std::vector<double> learnt;
        for (std::size_t i = 0; i < 300; ++i)
            learnt.push_back(predicted[i * 2 + k]);
        const surrogate::ErrorMetrics resubstituted =
            surrogate::error_metrics(std::span(profile.latency_ms).subspan(k * 300, 300), learnt);
        const surrogate::ErrorMetrics& metrics = fitted->cross_validation()[k];
        CHECK(metrics.mape > 1.2 * resubstituted.mape);
        CHECK(metrics.mape < 0.15);
        CHECK(metrics.kendall_tau > 0.7);
        CHECK(metrics.r_squared > 0.8);
    }
}

TEST_CASE("a prediction is the unpruned latency times the reference, in any partition",
          "[gbrt_surrogate]") {
    const Profile profile = test::synthetic_profile(60, 5, 3);
    const auto fitted = surrogate::fit_gbrt_surrogate(profile, quick, 2);
    const std::size_t count = 173;
    const auto genomes = test::random_genomes(1, count, 5);
    std::vector<double> whole(count * 3);
    fitted->predict(genomes, whole, 2);
    std::vector<double> parts(count * 3);
    for (std::size_t first = 0; first < count; first += 50) {
        const std::size_t part = std::min<std::size_t>(50, count - first);
        fitted->predict(std::span(genomes).subspan(first, part),
                        std::span(parts).subspan(first * 3, part * 3), 1);
    }
    CHECK(whole == parts);
    std::size_t different = 0;
    for (std::size_t i = 0; i < count; ++i) {
        std::vector<float> ratios;
        for (const std::int32_t channels : genomes[i])
            ratios.push_back(static_cast<float>(static_cast<double>(channels) / 32.0));
        for (std::size_t k = 0; k < 3; ++k) {
            const float ratio = surrogate::predict_reference(fitted->forests()[k], ratios);
            if (whole[i * 3 + k] != profile.unpruned_latency_ms(k) * static_cast<double>(ratio))
                ++different;
        }
    }
    CHECK(different == 0);
    CHECK_NOTHROW(fitted->predict({}, {}, 1));
    CHECK_THROWS_AS(fitted->predict(genomes, whole, 0), core::ConfigError);
    CHECK_THROWS_AS(fitted->predict(std::span(genomes).first(count - 1), whole, 1),
                    core::DataError);
    CHECK_THROWS_WITH(fitted->predict(test::random_genomes(1, count, 4), whole, 1),
                      Contains("genome 0 has 4 counts"));
}

TEST_CASE("a surrogate survives its file", "[gbrt_surrogate]") {
    const Profile profile = test::synthetic_profile(50, 4, 3);
    const auto fitted =
        surrogate::fit_surrogate(profile, {.kind = "gbrt", .gbrt = quick}, any_network.view(), 2);
    storage::Hdf5Writer file;
    surrogate::write_surrogate(file, *fitted);
    const auto back = surrogate::read_surrogate(
        storage::Hdf5Reader::from_bytes(file.finish(), "s.h5"), any_network.view());
    CHECK(back->kind() == "gbrt");
    REQUIRE(back->clusters() == 3);
    for (std::size_t k = 0; k < 3; ++k)
        CHECK(equal(back->cross_validation()[k], fitted->cross_validation()[k]));
    const auto genomes = test::random_genomes(2, 100, 4);
    std::vector<double> before(300);
    std::vector<double> after(300);
    fitted->predict(genomes, before, 1);
    back->predict(genomes, after, 1);
    CHECK(before == after);
}

TEST_CASE("read_surrogate reads a file made by hand", "[gbrt_surrogate]") {
    const auto surrogates = FileContent{}.read();
    std::vector<double> latency_ms(4);
    const std::vector<network::Genome> genomes{{8, 1}, {8, 2}};
    surrogates->predict(genomes, latency_ms, 1);
    CHECK(latency_ms == std::vector<double>{12.5, 50, 17.5, 50});
}

TEST_CASE("read_surrogate refuses a damaged file, and says what is wrong", "[gbrt_surrogate]") {
    using C = FileContent;
    CHECK_THAT(refusal([](C& c) { c.genes = 0; }), Contains("s.h5: /forests has 0 genes"));
    CHECK_THAT(refusal([](C& c) { c.genes = std::numeric_limits<std::int64_t>::max(); }),
               Contains("genes, expected 1 to 1000000"));
    CHECK_THAT(refusal([](C& c) { c.genes = 3; }), Contains("s.h5") && Contains("3 genes"));
    CHECK_THAT(refusal([](C& c) { c.trees = {1, 2}; }), Contains("/forests/trees[1] is 2"));
    CHECK_THAT(refusal([](C& c) { c.trees = {-1, 1}; }), Contains("/forests/trees[0] is -1"));
    CHECK_THAT(refusal([](C& c) { c.trees = {1, 0}; }), Contains("only have 1 and 3"));
    CHECK_THAT(refusal([](C& c) { c.trees = {1}; }), Contains("s.h5"));
    CHECK_THAT(refusal([](C& c) { c.nodes = {3, 2}; }), Contains("/forests/nodes[1] is 2"));
    CHECK_THAT(refusal([](C& c) {
                   c.nodes = {3, std::numeric_limits<std::int64_t>::max()};
               }),
               Contains("/forests/nodes[1]"));
    CHECK_THAT(refusal([](C& c) { c.nodes = {4, 0}; }), Contains("s.h5: cluster 0"));
    CHECK_THAT(refusal([](C& c) { c.left.pop_back(); }), Contains("/forests/left"));
    CHECK_THAT(refusal([](C& c) { c.left[0] = 3; }), Contains("s.h5: cluster 0: left[0] is 3"));
    CHECK_THAT(refusal([](C& c) { c.right[0] = -1; }), Contains("right[0] is -1"));
    CHECK_THAT(refusal([](C& c) { c.right[0] = 0; }), Contains("right[0] is 0"));
    CHECK_THAT(refusal([](C& c) { c.feature[0] = 2; }), Contains("feature[0] is 2"));
    CHECK_THAT(refusal([](C& c) { c.unpruned_channels[1] = 0; }),
               Contains("s.h5: unpruned_channels[1] is 0"));
    CHECK_THAT(refusal([](C& c) { c.unpruned_channels.push_back(1); }),
               Contains("s.h5") && Contains("3 channel counts"));
    CHECK_THAT(refusal([](C& c) { c.group_names.clear(); }), Contains("0 names"));
    CHECK_THAT(refusal([](C& c) { c.unpruned_latency_ms[1] = -3; }),
               Contains("s.h5: unpruned_latency_ms[1] is -3"));
    CHECK_THAT(refusal([](C& c) { c.unpruned_latency_ms = {1}; }), Contains("s.h5"));
    CHECK_THAT(refusal([](C& c) { c.metrics = {1}; }), Contains("/cross_validation/"));
    CHECK(refusal([](C&) {}).empty());
}
