#include "hdap/surrogate/cluster_surrogates.hpp"

#include "hdap/core/error.hpp"
#include "surrogate/random_forest.hpp"
#include "surrogate/synthetic_profile.hpp"

#include <catch2/catch.hpp>

#include <limits>

using namespace hdap;
using surrogate::ClusterSurrogates;
using surrogate::Profile;

namespace {

constexpr surrogate::GbrtParameters quick{.trees = 30, .depth = 3, .learning_rate = 0.2};

/// The arrays of a small file of surrogates, to be damaged.
struct FileContent {
    std::vector<std::string> group_names{"a", "b"};
    std::vector<double> unpruned_latency_ms{10, 20};
    std::vector<double> figures{0.1, 0.2};
    std::int64_t genes = 2;
    std::vector<float> base_score{1, 2};
    std::vector<std::int64_t> trees{1, 1};
    std::vector<std::int64_t> nodes{3, 1};
    std::vector<std::int32_t> feature{1, -1, -1, -1};
    std::vector<float> threshold{0.5F, 0, 0, 0};
    std::vector<std::int32_t> left{1, 0, 0, 0};
    std::vector<std::int32_t> right{2, 0, 0, 0};
    std::vector<float> value{0, 0.25F, 0.75F, 0.5F};

    ClusterSurrogates read() const {
        storage::Hdf5Writer file;
        file.write_strings("/group_names", group_names);
        file.write("/unpruned_latency_ms", unpruned_latency_ms);
        for (const char* name : {"mape", "rmse_ms", "r_squared", "kendall_tau"})
            file.write(std::string("/cross_validation/") + name, figures);
        file.write("/forests/base_score", base_score);
        file.write("/forests/trees", trees);
        file.write("/forests/nodes", nodes);
        file.write("/forests/feature", feature);
        file.write("/forests/threshold", threshold);
        file.write("/forests/left", left);
        file.write("/forests/right", right);
        file.write("/forests/value", value);
        file.attribute("/forests", "genes", genes);
        return surrogate::read_surrogates(storage::Hdf5Reader::from_bytes(file.finish(), "s.h5"));
    }
};

/// The message with which read_surrogates refuses the file after `damage`.
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

bool equal(const surrogate::ErrorFigures& a, const surrogate::ErrorFigures& b) {
    return a.mape == b.mape && a.rmse == b.rmse && a.r_squared == b.r_squared &&
           a.kendall_tau == b.kendall_tau;
}

} // namespace

TEST_CASE("ClusterSurrogates refuses parts that do not fit together", "[surrogates]") {
    const std::vector<surrogate::Forest> forests{test::random_forest(0, 2, 2, 3)};
    const std::vector<surrogate::ErrorFigures> figures(1);
    CHECK_THROWS_AS(ClusterSurrogates({}, {}, {}, {}), core::DataError);
    CHECK_THROWS_AS(ClusterSurrogates(forests, {1, 2}, figures, {}), core::DataError);
    CHECK_THROWS_AS(ClusterSurrogates(forests, {1}, {}, {}), core::DataError);
    CHECK_THROWS_AS(ClusterSurrogates(forests, {1}, figures, {"a"}), core::DataError);
    CHECK_THROWS_AS(ClusterSurrogates(forests, {0}, figures, {}), core::DataError);
    CHECK_THROWS_AS(
        ClusterSurrogates(forests, {std::numeric_limits<double>::infinity()}, figures, {}),
        core::DataError);
    CHECK_NOTHROW(ClusterSurrogates(forests, {1}, figures, {"a", "b", "c"}));
}

TEST_CASE("fit_surrogates refuses what it cannot fit", "[surrogates]") {
    using Catch::Matchers::Contains;
    const Profile profile = test::synthetic_profile(10, 3, 2);
    CHECK_THROWS_AS(surrogate::fit_surrogates(Profile{}, quick), core::DataError);
    CHECK_THROWS_AS(surrogate::fit_surrogates(profile, {.trees = 0}), core::ConfigError);
    CHECK_THROWS_WITH(surrogate::fit_surrogates(profile, quick, 1), Contains("folds, not 1"));
    CHECK_THROWS_AS(surrogate::fit_surrogates(profile, quick, 5, -1), core::ConfigError);
    CHECK_THROWS_WITH(surrogate::fit_surrogates(test::synthetic_profile(1, 3, 2), quick),
                      Contains("2 candidates"));
    CHECK_NOTHROW(surrogate::fit_surrogates(test::synthetic_profile(2, 3, 2), quick));
}

TEST_CASE("fit_surrogates gives the same bits for any number of threads", "[surrogates]") {
    const Profile profile = test::synthetic_profile(60, 5, 3);
    const ClusterSurrogates one = surrogate::fit_surrogates(profile, quick, 5, 1);
    const ClusterSurrogates four = surrogate::fit_surrogates(profile, quick, 5, 4);
    REQUIRE(one.clusters() == 3);
    REQUIRE(one.genes() == 5);
    CHECK(one.forests() == four.forests());
    for (std::size_t k = 0; k < 3; ++k)
        CHECK(equal(one.cross_validation()[k], four.cross_validation()[k]));
    CHECK(one.unpruned_latency_ms() == profile.unpruned_latency_ms);
    CHECK(one.group_names() == profile.group_names);
}

TEST_CASE("a cluster's forest is fitted to its latency over its unpruned latency", "[surrogates]") {
    const Profile profile = test::synthetic_profile(40, 4, 2);
    const ClusterSurrogates surrogates = surrogate::fit_surrogates(profile, quick);
    for (std::size_t k = 0; k < 2; ++k) {
        std::vector<float> targets;
        for (std::size_t i = 0; i < 40; ++i)
            targets.push_back(static_cast<float>(profile.latency_ms[k * 40 + i] /
                                                 profile.unpruned_latency_ms[k]));
        CHECK(surrogates.forests()[k] ==
              surrogate::fit_gbrt(profile.features, 40, 4, targets, quick));
    }
}

TEST_CASE("cross-validation judges by candidates that were not learnt", "[surrogates]") {
    const Profile profile = test::synthetic_profile(300, 5, 2);
    const ClusterSurrogates surrogates = surrogate::fit_surrogates(profile, quick);
    std::vector<double> predicted(300 * 2);
    surrogates.predict_ms(profile.features, 300, predicted, 1);
    for (std::size_t k = 0; k < 2; ++k) {
        std::vector<double> learnt;
        for (std::size_t i = 0; i < 300; ++i)
            learnt.push_back(predicted[i * 2 + k]);
        const surrogate::ErrorFigures resubstituted =
            surrogate::error_figures(std::span(profile.latency_ms).subspan(k * 300, 300), learnt);
        const surrogate::ErrorFigures& figures = surrogates.cross_validation()[k];
        CHECK(figures.mape > 1.2 * resubstituted.mape);
        CHECK(figures.mape < 0.15);
        CHECK(figures.kendall_tau > 0.7);
        CHECK(figures.r_squared > 0.8);
    }
}

TEST_CASE("predict_ms is the unpruned latency times the reference, in any partition",
          "[surrogates]") {
    const Profile profile = test::synthetic_profile(60, 5, 3);
    const ClusterSurrogates surrogates = surrogate::fit_surrogates(profile, quick);
    const std::size_t rows = 173;
    const std::vector<float> features = test::random_features(1, rows, 5, 32);
    std::vector<double> whole(rows * 3);
    surrogates.predict_ms(features, rows, whole, 2);
    std::vector<double> parts(rows * 3);
    for (std::size_t first = 0; first < rows; first += 50) {
        const std::size_t count = std::min<std::size_t>(50, rows - first);
        surrogates.predict_ms(std::span(features).subspan(first * 5, count * 5), count,
                              std::span(parts).subspan(first * 3, count * 3), 1);
    }
    CHECK(whole == parts);
    std::size_t different = 0;
    for (std::size_t i = 0; i < rows; ++i) {
        for (std::size_t k = 0; k < 3; ++k) {
            const float ratio = surrogate::predict_reference(surrogates.forests()[k],
                                                             std::span(features).subspan(i * 5, 5));
            if (whole[i * 3 + k] != profile.unpruned_latency_ms[k] * static_cast<double>(ratio))
                ++different;
        }
    }
    CHECK(different == 0);
    CHECK_THROWS_AS(surrogates.predict_ms(features, rows, whole, 0), core::ConfigError);
    CHECK_THROWS_AS(surrogates.predict_ms(features, rows - 1, whole, 1), core::DataError);
}

TEST_CASE("surrogates survive their file", "[surrogates]") {
    const Profile profile = test::synthetic_profile(50, 4, 3);
    const ClusterSurrogates surrogates = surrogate::fit_surrogates(profile, quick);
    storage::Hdf5Writer file;
    surrogate::write_surrogates(file, surrogates);
    const ClusterSurrogates back =
        surrogate::read_surrogates(storage::Hdf5Reader::from_bytes(file.finish(), "s.h5"));
    CHECK(back.forests() == surrogates.forests());
    CHECK(back.unpruned_latency_ms() == surrogates.unpruned_latency_ms());
    CHECK(back.group_names() == surrogates.group_names());
    for (std::size_t k = 0; k < 3; ++k)
        CHECK(equal(back.cross_validation()[k], surrogates.cross_validation()[k]));
}

TEST_CASE("read_surrogates reads a file made by hand", "[surrogates]") {
    const ClusterSurrogates surrogates = FileContent{}.read();
    std::vector<double> latency_ms(4);
    const std::vector<float> features{1, 0.25F, 1, 0.5F};
    surrogates.predict_ms(features, 2, latency_ms, 1);
    CHECK(latency_ms == std::vector<double>{12.5, 50, 17.5, 50});
}

TEST_CASE("read_surrogates refuses a damaged file, and says what is wrong", "[surrogates]") {
    using Catch::Matchers::Contains;
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
    CHECK_THAT(refusal([](C& c) { c.unpruned_latency_ms[1] = -3; }),
               Contains("s.h5: unpruned_latency_ms[1] is -3"));
    CHECK_THAT(refusal([](C& c) { c.unpruned_latency_ms = {1}; }), Contains("s.h5"));
    CHECK_THAT(refusal([](C& c) { c.figures = {1}; }), Contains("/cross_validation/"));
    CHECK(refusal([](C&) {}).empty());
}
