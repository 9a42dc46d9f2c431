#include "hdap/surrogate/error_figures.hpp"

#include "hdap/core/error.hpp"
#include "hdap/core/random.hpp"

#include <catch2/catch.hpp>

#include <cmath>
#include <limits>
#include <vector>

using namespace hdap;

namespace {

/// Tau-b from its definition: all pairs.
double tau_of_all_pairs(const std::vector<double>& x, const std::vector<double>& y) {
    double concordance = 0;
    double untied_x = 0;
    double untied_y = 0;
    const auto sign = [](double difference) { return (difference > 0) - (difference < 0); };
    for (std::size_t i = 0; i < x.size(); ++i) {
        for (std::size_t j = 0; j < i; ++j) {
            const int dx = sign(x[i] - x[j]);
            const int dy = sign(y[i] - y[j]);
            concordance += dx * dy;
            untied_x += dx * dx;
            untied_y += dy * dy;
        }
    }
    return concordance / std::sqrt(untied_x * untied_y);
}

} // namespace

TEST_CASE("error_figures refuses values that cannot be compared", "[error_figures]") {
    using Catch::Matchers::Contains;
    const std::vector<double> one{1};
    const std::vector<double> two{1, 2};
    const std::vector<double> zero{1, 0};
    const std::vector<double> nan{1, std::numeric_limits<double>::quiet_NaN()};
    CHECK_THROWS_WITH(surrogate::error_figures(two, one), Contains("not 1 for 2"));
    CHECK_THROWS_AS(surrogate::error_figures(one, one), core::DataError);
    CHECK_THROWS_AS(surrogate::error_figures({}, {}), core::DataError);
    CHECK_THROWS_WITH(surrogate::error_figures(zero, two), Contains("measured[1] is 0"));
    CHECK_THROWS_WITH(surrogate::error_figures(two, nan), Contains("predicted[1] is nan"));
    CHECK_THROWS_AS(surrogate::kendall_tau(one, one), core::DataError);
    CHECK_THROWS_AS(surrogate::kendall_tau(one, two), core::DataError);
}

TEST_CASE("error_figures of a case worked out by hand", "[error_figures]") {
    const std::vector<double> measured{1, 2, 4};
    const std::vector<double> predicted{1.5, 2, 3};
    const surrogate::ErrorFigures figures = surrogate::error_figures(measured, predicted);
    CHECK(figures.mape == Approx((0.5 + 0 + 0.25) / 3));
    CHECK(figures.rmse == Approx(std::sqrt((0.25 + 0 + 1) / 3)));
    CHECK(figures.r_squared == Approx(1 - 1.25 / (14.0 / 3)));
    CHECK(figures.kendall_tau == 1.0);
}

TEST_CASE("kendall_tau is 1, -1 or undefined in the extreme cases", "[error_figures]") {
    const std::vector<double> up{1, 2, 3, 4};
    const std::vector<double> down{4, 3, 2, 1};
    const std::vector<double> flat{2, 2, 2, 2};
    CHECK(surrogate::kendall_tau(up, up) == 1.0);
    CHECK(surrogate::kendall_tau(up, down) == -1.0);
    CHECK(std::isnan(surrogate::kendall_tau(up, flat)));
    CHECK(std::isnan(surrogate::kendall_tau(flat, up)));
    CHECK(std::isnan(surrogate::error_figures(flat, up).r_squared));
}

TEST_CASE("kendall_tau by merge sort equals the definition, with and without ties",
          "[error_figures]") {
    core::RandomStream random(3, core::StreamId::testing);
    for (std::size_t count = 2; count < 70; ++count) {
        // Few levels give many ties.
        const std::uint64_t levels = count % 3 == 0 ? 4 : count % 3 == 1 ? 30 : 1'000'000;
        std::vector<double> x(count);
        std::vector<double> y(count);
        for (std::size_t i = 0; i < count; ++i) {
            x[i] = static_cast<double>(random.below(levels));
            y[i] = static_cast<double>(random.below(levels)) + 0.3 * x[i];
        }
        const double expected = tau_of_all_pairs(x, y);
        if (std::isnan(expected))
            CHECK(std::isnan(surrogate::kendall_tau(x, y)));
        else
            CHECK(surrogate::kendall_tau(x, y) == Approx(expected).margin(1e-12));
    }
}
