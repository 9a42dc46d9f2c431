#include "hdap/surrogate/error_metrics.hpp"

#include "hdap/core/error.hpp"

#include <catch2/catch.hpp>

#include <cmath>
#include <limits>
#include <vector>

using namespace hdap;

TEST_CASE("error_metrics refuses values that cannot be compared", "[error_metrics]") {
    using Catch::Matchers::Contains;
    const std::vector<double> one{1};
    const std::vector<double> two{1, 2};
    const std::vector<double> zero{1, 0};
    const std::vector<double> nan{1, std::numeric_limits<double>::quiet_NaN()};
    CHECK_THROWS_WITH(surrogate::error_metrics(two, one), Contains("not 1 for 2"));
    CHECK_THROWS_AS(surrogate::error_metrics(one, one), core::DataError);
    CHECK_THROWS_AS(surrogate::error_metrics({}, {}), core::DataError);
    CHECK_THROWS_WITH(surrogate::error_metrics(zero, two), Contains("measured[1] is 0"));
    CHECK_THROWS_WITH(surrogate::error_metrics(two, nan), Contains("predicted[1] is nan"));
}

TEST_CASE("error_metrics of a case worked out by hand", "[error_metrics]") {
    const std::vector<double> measured{1, 2, 4};
    const std::vector<double> predicted{1.5, 2, 3};
    const surrogate::ErrorMetrics metrics = surrogate::error_metrics(measured, predicted);
    CHECK(metrics.mape == Approx((0.5 + 0 + 0.25) / 3));
    CHECK(metrics.rmse == Approx(std::sqrt((0.25 + 0 + 1) / 3)));
    CHECK(metrics.r_squared == Approx(1 - 1.25 / (14.0 / 3)));
    CHECK(metrics.kendall_tau == 1.0);
}

TEST_CASE("R squared of measurements without variance is undefined", "[error_metrics]") {
    const std::vector<double> flat{2, 2};
    CHECK(std::isnan(surrogate::error_metrics(flat, std::vector<double>{1, 3}).r_squared));
}
