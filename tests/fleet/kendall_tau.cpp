#include "hdap/fleet/kendall_tau.hpp"

#include "hdap/core/error.hpp"
#include "hdap/core/random.hpp"

#include <catch2/catch.hpp>

#include <cmath>
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

TEST_CASE("kendall_tau refuses lists of one value and lists of two sizes", "[kendall_tau]") {
    const std::vector<double> one{1};
    const std::vector<double> two{1, 2};
    CHECK_THROWS_AS(fleet::kendall_tau(one, one), core::DataError);
    CHECK_THROWS_WITH(fleet::kendall_tau(one, two), Catch::Contains("got 1 and 2"));
}

TEST_CASE("kendall_tau is 1, -1 or undefined in the extreme cases", "[kendall_tau]") {
    const std::vector<double> up{1, 2, 3, 4};
    const std::vector<double> down{4, 3, 2, 1};
    const std::vector<double> flat{2, 2, 2, 2};
    CHECK(fleet::kendall_tau(up, up) == 1.0);
    CHECK(fleet::kendall_tau(up, down) == -1.0);
    CHECK(std::isnan(fleet::kendall_tau(up, flat)));
    CHECK(std::isnan(fleet::kendall_tau(flat, up)));
}

TEST_CASE("kendall_tau by merge sort equals the definition, with and without ties",
          "[kendall_tau]") {
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
            CHECK(std::isnan(fleet::kendall_tau(x, y)));
        else
            CHECK(fleet::kendall_tau(x, y) == Approx(expected).margin(1e-12));
    }
}
