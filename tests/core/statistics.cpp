#include "hdap/core/statistics.hpp"

#include "hdap/core/error.hpp"
#include "hdap/core/random.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
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

/// Type 7 as NumPy documents it: virtual index p·(n − 1) of the sorted values.
double quantile_by_sorting(std::vector<double> values, double p) {
    std::sort(values.begin(), values.end());
    const double place = p * static_cast<double>(values.size() - 1);
    const auto below = static_cast<std::size_t>(std::floor(place));
    const auto above = static_cast<std::size_t>(std::ceil(place));
    return std::lerp(values[below], values[above], place - std::floor(place));
}

} // namespace

TEST_CASE("the mean of nothing is NaN", "[mean]") {
    CHECK(std::isnan(core::mean({})));
}

TEST_CASE("a mean has the bits of a sum from the first value to the last", "[mean]") {
    CHECK(core::mean(std::vector<double>{3.0}) == 3.0);
    CHECK(core::mean(std::vector<double>{1.0, 2.0, 6.0}) == 3.0);
    // 1 is lost beside 1e16, but not beside what is left once that is gone.
    CHECK(core::mean(std::vector<double>{1.0, 1e16, -1e16, 1.0}) == 0.25);
    CHECK(core::mean(std::vector<double>{1e16, -1e16, 1.0, 1.0}) == 0.5);
}

TEST_CASE("the median of nothing is refused", "[median]") {
    CHECK_THROWS_AS(core::median({}), core::InternalError);
}

TEST_CASE("the median is the middle value, or the mean of the middle two", "[median]") {
    CHECK(core::median({3.0}) == 3.0);
    CHECK(core::median({4.0, 1.0}) == 2.5);
    CHECK(core::median({9.0, 1.0, 5.0}) == 5.0);
    CHECK(core::median({9.0, 1.0, 5.0, 7.0}) == 6.0);
    CHECK(core::median({2.0, 2.0, 2.0, 2.0, 8.0}) == 2.0);
}

TEST_CASE("a quantile of an order outside [0, 1] is refused, one of nothing is NaN", "[quantile]") {
    const std::vector<double> values{1, 2};
    for (const double p : {-0.1, 1.1, std::numeric_limits<double>::quiet_NaN()}) {
        CHECK_THROWS_AS(core::quantile(values, p), core::InternalError);
        CHECK_THROWS_AS(core::quantile_of_sorted(values, p), core::InternalError);
    }
    CHECK(std::isnan(core::quantile({}, 0.5)));
    CHECK(std::isnan(core::quantile_of_sorted({}, 0.5)));
}

TEST_CASE("quantiles are those of numpy.quantile", "[quantile]") {
    // numpy.quantile([3.1, 0.2, 5.9, 5.9, 1.0, 2.5, 8.8, 4.4], (0, 0.1, 0.25, 0.5, 0.75, 0.975, 1))
    const std::vector<double> sorted{0.2, 1.0, 2.5, 3.1, 4.4, 5.9, 5.9, 8.8};
    CHECK(core::quantile_of_sorted(sorted, 0.0) == 0.2);
    CHECK(core::quantile_of_sorted(sorted, 0.1) == Approx(0.76));
    CHECK(core::quantile_of_sorted(sorted, 0.25) == Approx(2.125));
    CHECK(core::quantile_of_sorted(sorted, 0.5) == Approx(3.75));
    CHECK(core::quantile_of_sorted(sorted, 0.75) == Approx(5.9));
    CHECK(core::quantile_of_sorted(sorted, 0.975) == Approx(8.2925));
    CHECK(core::quantile_of_sorted(sorted, 1.0) == 8.8);
}

TEST_CASE("both quantiles have the bits of a full sort", "[quantile]") {
    core::RandomStream random(4, core::StreamId::testing);
    for (std::size_t count = 1; count < 40; ++count) {
        std::vector<double> values;
        for (std::size_t i = 0; i < count; ++i) // some of them equal
            values.push_back(0.1 * static_cast<double>(random.below(2 * count)) - 1.0);
        std::vector<double> sorted = values;
        std::sort(sorted.begin(), sorted.end());
        for (const double p : {0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0}) {
            CAPTURE(count, p);
            CHECK(core::quantile(values, p) == quantile_by_sorting(values, p));
            CHECK(core::quantile_of_sorted(sorted, p) == quantile_by_sorting(values, p));
        }
    }
}

TEST_CASE("a share's interval refuses what is no share", "[wilson_interval]") {
    CHECK_THROWS_AS(core::wilson_interval(0, 0, 1.96), core::InternalError);
    CHECK_THROWS_AS(core::wilson_interval(-1, 5, 1.96), core::InternalError);
    CHECK_THROWS_WITH(core::wilson_interval(6, 5, 1.96), Catch::Contains("6 of 5"));
}

TEST_CASE("a share's interval ends where the score test does, within [0, 1]", "[wilson_interval]") {
    const double z = 3.29;
    for (const std::int64_t trials : {1, 20, 500})
        for (std::int64_t successes = 0; successes <= trials; ++successes) {
            const auto [lower, upper] = core::wilson_interval(successes, trials, z);
            const double share = static_cast<double>(successes) / static_cast<double>(trials);
            CHECK(lower >= 0.0);
            CHECK(upper <= 1.0);
            for (const double end : {lower, upper}) // |share - p| = z sqrt(p (1 - p) / n)
                CHECK(std::abs(share - end) ==
                      Approx(z * std::sqrt(end * (1.0 - end) / static_cast<double>(trials)))
                          .margin(1e-7));
        }
}

TEST_CASE("kendall_tau refuses lists of one value and lists of two sizes", "[kendall_tau]") {
    const std::vector<double> one{1};
    const std::vector<double> two{1, 2};
    CHECK_THROWS_AS(core::kendall_tau(one, one), core::DataError);
    CHECK_THROWS_WITH(core::kendall_tau(one, two), Catch::Contains("got 1 and 2"));
}

TEST_CASE("kendall_tau is 1, -1 or undefined in the extreme cases", "[kendall_tau]") {
    const std::vector<double> up{1, 2, 3, 4};
    const std::vector<double> down{4, 3, 2, 1};
    const std::vector<double> flat{2, 2, 2, 2};
    CHECK(core::kendall_tau(up, up) == 1.0);
    CHECK(core::kendall_tau(up, down) == -1.0);
    CHECK(std::isnan(core::kendall_tau(up, flat)));
    CHECK(std::isnan(core::kendall_tau(flat, up)));
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
            CHECK(std::isnan(core::kendall_tau(x, y)));
        else
            CHECK(core::kendall_tau(x, y) == Approx(expected).margin(1e-12));
    }
}
