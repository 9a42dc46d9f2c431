#include "surrogate/gbrt_fit.hpp"

#include "hdap/core/error.hpp"
#include "surrogate/random_forest.hpp"

#include <catch2/catch.hpp>

#include <cmath>
#include <limits>

using namespace hdap;
using surrogate::Forest;
using surrogate::GbrtParameters;

namespace {

constexpr std::size_t columns = 6;

/// A smooth function of neighbouring features plus noise of 1 %.
std::vector<float> targets_of(const std::vector<float>& features, std::uint32_t draw) {
    core::RandomStream noise(5, core::StreamId::testing, draw);
    std::vector<float> targets(features.size() / columns);
    for (std::size_t i = 0; i < targets.size(); ++i) {
        const float* x = features.data() + i * columns;
        double sum = 0.1;
        for (std::size_t c = 0; c + 1 < columns; ++c)
            sum += 0.2 * static_cast<double>(x[c] * x[c + 1]);
        targets[i] = static_cast<float>(sum * (1 + 0.01 * noise.normal()));
    }
    return targets;
}

} // namespace

TEST_CASE("fit_gbrt refuses parameters out of range and names them", "[gbrt]") {
    using Catch::Matchers::Contains;
    const std::vector<float> x = test::random_features(0, 10, columns);
    const std::vector<float> y = targets_of(x, 0);
    const auto fit = [&](const GbrtParameters& parameters) {
        surrogate::fit_gbrt(x, 10, columns, y, parameters);
    };
    CHECK_THROWS_WITH(fit({.trees = 0}), Contains("trees is 0"));
    CHECK_THROWS_AS(fit({.trees = 100'001}), core::ConfigError);
    CHECK_THROWS_WITH(fit({.depth = 17}), Contains("depth is 17, expected 1 to 16"));
    CHECK_THROWS_AS(fit({.depth = 0}), core::ConfigError);
    CHECK_THROWS_AS(fit({.learning_rate = 0}), core::ConfigError);
    CHECK_THROWS_WITH(fit({.learning_rate = 1.5}), Contains("learning_rate is 1.5"));
    CHECK_THROWS_AS(fit({.learning_rate = std::nan("")}), core::ConfigError);
    CHECK_THROWS_AS(fit({.l2 = -1}), core::ConfigError);
    CHECK_THROWS_AS(fit({.l2 = std::numeric_limits<double>::infinity()}), core::ConfigError);
}

TEST_CASE("fit_gbrt refuses data that do not fit or are not finite", "[gbrt]") {
    using Catch::Matchers::Contains;
    std::vector<float> x = test::random_features(0, 10, columns);
    std::vector<float> y = targets_of(x, 0);
    CHECK_THROWS_AS(surrogate::fit_gbrt({}, 0, columns, {}, {}), core::DataError);
    CHECK_THROWS_AS(surrogate::fit_gbrt({}, 10, 0, y, {}), core::DataError);
    CHECK_THROWS_AS(surrogate::fit_gbrt(x, 9, columns, y, {}), core::DataError);
    CHECK_THROWS_AS(surrogate::fit_gbrt(x, 10, columns, std::span(y).first(9), {}),
                    core::DataError);
    x[7] = std::numeric_limits<float>::quiet_NaN();
    CHECK_THROWS_WITH(surrogate::fit_gbrt(x, 10, columns, y, {}), Contains("features[7] is nan"));
    x[7] = 1;
    y[3] = std::numeric_limits<float>::infinity();
    CHECK_THROWS_WITH(surrogate::fit_gbrt(x, 10, columns, y, {}), Contains("targets[3] is inf"));
}

TEST_CASE("an error of XGBoost is an InternalError in its own words", "[gbrt]") {
    const std::vector<float> x = test::random_features(0, 10, columns);
    surrogate::XgboostMatrix matrix(x, 10, columns);
    CHECK_THROWS_AS(surrogate::XgboostMatrix(x, 11, columns), core::DataError);
    surrogate::XgboostBooster booster(matrix);
    booster.set("max_depth", "-1");
    booster.set("verbosity", "0");
    CHECK_THROWS_AS(booster.boost(0, matrix), core::InternalError);
}

TEST_CASE("predict_reference equals XGBoost's prediction bit for bit", "[gbrt]") {
    const std::vector<float> x = test::random_features(1, 200, columns);
    const std::vector<float> rows = test::random_features(2, 400, columns, 97);
    for (std::uint32_t draw = 0; draw < 4; ++draw) {
        const std::vector<float> y = targets_of(x, draw);
        const GbrtParameters parameters{.trees = 40, .depth = 1 + 2 * std::int64_t{draw}};
        const surrogate::XgboostBooster booster =
            surrogate::train_gbrt(x, 200, columns, y, parameters);
        const Forest forest = surrogate::forest_of(booster, columns, surrogate::gbrt_base_score(y));
        REQUIRE(forest.trees() == 40);
        CHECK(surrogate::forest_depth(forest) == parameters.depth);
        CHECK(forest == surrogate::fit_gbrt(x, 200, columns, y, parameters));
        const std::span<const float> expected = booster.predict(rows, 400, columns);
        std::size_t different = 0;
        for (std::size_t i = 0; i < 400; ++i) {
            const auto row = std::span(rows).subspan(i * columns, columns);
            if (surrogate::predict_reference(forest, row) != expected[i]) ++different;
        }
        CHECK(different == 0);
    }
}

TEST_CASE("fit_gbrt learns: most of the variance of rows that it has not seen", "[gbrt]") {
    const std::vector<float> x = test::random_features(3, 400, columns);
    const std::vector<float> y = targets_of(x, 3);
    const std::vector<float> rows = test::random_features(4, 100, columns);
    const std::vector<float> truth = targets_of(rows, 4);
    const Forest forest = surrogate::fit_gbrt(x, 400, columns, y, {});
    const double mean = static_cast<double>(surrogate::gbrt_base_score(truth));
    double error = 0;
    double variance = 0;
    for (std::size_t i = 0; i < 100; ++i) {
        const auto row = std::span(rows).subspan(i * columns, columns);
        error += std::pow(surrogate::predict_reference(forest, row) - truth[i], 2);
        variance += std::pow(truth[i] - mean, 2);
    }
    CHECK(error < 0.15 * variance);
}

TEST_CASE("constant targets give a forest that predicts them", "[gbrt]") {
    const std::vector<float> x = test::random_features(5, 20, columns);
    const std::vector<float> y(20, 0.75F);
    const Forest forest = surrogate::fit_gbrt(x, 20, columns, y, {.trees = 5});
    CHECK(surrogate::forest_depth(forest) == 0);
    CHECK(surrogate::predict_reference(forest, std::span(x).first(columns)) == 0.75F);
}
