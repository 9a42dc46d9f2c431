#include "hdap/ablation/statistics.hpp"

#include "hdap/core/random.hpp"
#include "hdap/core/statistics.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <cmath>
#include <numeric>

using namespace hdap;
using namespace hdap::ablation;

namespace {

constexpr double absent = std::numeric_limits<double>::quiet_NaN();

/// Differences with many ties and, where `zeros`, zeros.
std::vector<double> random_differences(std::size_t count, std::uint32_t round, bool zeros) {
    core::RandomStream random(7, core::StreamId::testing, round);
    std::vector<double> differences;
    for (std::size_t i = 0; i < count; ++i) {
        const auto size = static_cast<double>(random.below(6) + (zeros ? 0 : 1));
        differences.push_back(random.below(3) == 0 ? -size : size);
    }
    return differences;
}

/// The rank of each absolute difference, by counting; 0 for zeros.
std::vector<double> ranks_by_counting(const std::vector<double>& differences) {
    std::vector<double> ranks;
    for (const double a : differences) {
        double rank = 0.5;
        for (const double b : differences)
            rank += std::abs(b) < std::abs(a) ? 1.0 : std::abs(b) == std::abs(a) ? 0.5 : 0.0;
        ranks.push_back(a == 0.0 ? 0.0 : rank);
    }
    return ranks;
}

/// The two-sided p-value from all 2^n assignments of signs.
double p_by_enumeration(const std::vector<double>& differences) {
    const std::vector<double> ranks = ranks_by_counting(differences);
    double positive = 0.0;
    for (std::size_t i = 0; i < ranks.size(); ++i)
        positive += differences[i] > 0.0 ? ranks[i] : 0.0;
    const double total = std::accumulate(ranks.begin(), ranks.end(), 0.0);
    const double least = std::min(positive, total - positive);
    const std::size_t assignments = std::size_t{1} << ranks.size();
    std::size_t as_extreme = 0;
    for (std::size_t signs = 0; signs < assignments; ++signs) {
        double sum = 0.0;
        for (std::size_t i = 0; i < ranks.size(); ++i)
            sum += (signs >> i & 1U) != 0 ? ranks[i] : 0.0;
        if (sum <= least) ++as_extreme;
    }
    return std::min(1.0, 2.0 * static_cast<double>(as_extreme) / static_cast<double>(assignments));
}

double hodges_lehmann_by_pairs(const std::vector<double>& differences) {
    std::vector<double> means;
    for (std::size_t i = 0; i < differences.size(); ++i)
        for (std::size_t j = i; j < differences.size(); ++j)
            means.push_back(0.5 * differences[i] + 0.5 * differences[j]);
    std::sort(means.begin(), means.end());
    return core::quantile_of_sorted(means, 0.5);
}

/// The interval of the median from all n^n resamples.
Interval interval_by_enumeration(const std::vector<double>& values) {
    const std::size_t count = values.size();
    auto resamples = static_cast<std::size_t>(std::pow(count, count));
    std::vector<double> medians;
    while (resamples-- > 0) {
        std::vector<double> sample;
        for (std::size_t i = 0, digits = resamples; i < count; ++i, digits /= count)
            sample.push_back(values[digits % count]);
        std::sort(sample.begin(), sample.end());
        medians.push_back(core::quantile_of_sorted(sample, 0.5));
    }
    std::sort(medians.begin(), medians.end());
    return {.low = core::quantile_of_sorted(medians, 0.025),
            .high = core::quantile_of_sorted(medians, 0.975)};
}

} // namespace

TEST_CASE("without values there is no interval, summary or shift") {
    MedianBootstrap bootstrap;
    CHECK(std::isnan(bootstrap.interval({}).low));
    CHECK(std::isnan(hodges_lehmann({})));
    const Summary summary = summarize(std::vector<double>{absent, absent}, bootstrap);
    CHECK(summary.count == 0);
    CHECK(summary.missing == 2);
    CHECK(std::isnan(summary.median));
}

TEST_CASE("a summary leaves out and counts what is not finite") {
    MedianBootstrap bootstrap;
    const std::vector<double> values{4.0, absent, 1.0, std::numeric_limits<double>::infinity(),
                                     2.0};
    const Summary summary = summarize(values, bootstrap);
    CHECK(summary.count == 3);
    CHECK(summary.missing == 2);
    CHECK(summary.median == 2.0);
    CHECK(summary.q1 == 1.5);
    CHECK(summary.q3 == 3.0);
    CHECK(summary.median_interval.low == 1.0);
    CHECK(summary.median_interval.high == 4.0);
}

TEST_CASE("the bootstrap interval is that of all resamples, but for chance") {
    MedianBootstrap bootstrap;
    for (const std::size_t count : {3U, 4U, 5U, 6U}) {
        // Values whose neighbours lie close: a tail that is off by a little moves an end by little.
        std::vector<double> values;
        for (std::size_t i = 0; i < count; ++i)
            values.push_back(10.0 + static_cast<double>(i * i));
        const Interval drawn = bootstrap.interval(values);
        const Interval expected = interval_by_enumeration(values);
        CHECK(drawn.low == expected.low);
        CHECK(drawn.high == expected.high);
    }
    // scipy.stats.bootstrap((v,), numpy.median, n_resamples=200000, method='percentile')
    const Interval interval =
        bootstrap.interval(std::vector<double>{0.2, 1.0, 2.5, 3.1, 4.4, 5.9, 5.9, 8.8});
    CHECK(interval.low == Approx(1.0).margin(0.41));
    CHECK(interval.high == Approx(5.9));
}

TEST_CASE("the bootstrap interval has the same bits whatever was drawn before") {
    std::vector<double> values(40);
    core::RandomStream random(1, core::StreamId::testing);
    std::generate(values.begin(), values.end(), [&] { return random.normal(); });
    std::sort(values.begin(), values.end());
    MedianBootstrap fresh;
    MedianBootstrap used;
    used.interval(std::vector<double>{1.0, 2.0, 3.0});
    used.interval(values);
    CHECK(fresh.interval(values).low == used.interval(values).low);
    CHECK(fresh.interval(values).high == used.interval(values).high);
    CHECK(fresh.interval(values).low < core::quantile_of_sorted(values, 0.5));
}

TEST_CASE("no difference, or zeros alone, is no evidence") {
    for (const std::vector<double>& differences :
         {std::vector<double>{}, std::vector<double>{0.0, -0.0, 0.0}}) {
        const SignedRankTest test = signed_rank_test(differences);
        CHECK(test.nonzero == 0);
        CHECK(test.p == 1.0);
        CHECK(test.effect == 0.0);
    }
}

TEST_CASE("signed-rank p-values are exact with ties and zeros: all sign assignments agree") {
    for (std::uint32_t round = 0; round < 60; ++round) {
        const auto differences = random_differences(1 + round % 12, round, round % 2 == 0);
        const SignedRankTest test = signed_rank_test(differences);
        CHECK(test.exact);
        CHECK(test.p == p_by_enumeration(differences));
        const std::vector<double> ranks = ranks_by_counting(differences);
        CHECK(test.positive_ranks + test.negative_ranks ==
              std::accumulate(ranks.begin(), ranks.end(), 0.0));
    }
}

TEST_CASE("signed-rank p-values are those of scipy") {
    // The depression scores of Hollander and Wolfe, table 3.1:
    // scipy.stats.wilcoxon(d, mode='exact') -> statistic 5, p 0.0390625
    const std::vector<double> depression{0.952, -0.147, 1.022,  0.430, 0.620,
                                         0.590, 0.490,  -0.080, 0.010};
    CHECK(signed_rank_test(depression).p == 0.0390625);
    CHECK(signed_rank_test(depression).negative_ranks == 5.0);
    CHECK(signed_rank_test(depression).effect == Approx((40.0 - 5.0) / 45.0));
    CHECK(hodges_lehmann(depression) == Approx(0.46));

    // i = numpy.arange(1, 41); scipy.stats.wilcoxon(numpy.sqrt(i) * numpy.where(i % 3 == 0, -1, 1),
    // mode='exact') -> statistic 273, p 0.06616061626666305
    std::vector<double> forty;
    for (int i = 1; i <= 40; ++i)
        forty.push_back(std::sqrt(i) * (i % 3 == 0 ? -1.0 : 1.0));
    CHECK(signed_rank_test(forty).negative_ranks == 273.0);
    CHECK(signed_rank_test(forty).p == Approx(0.06616061626666305).epsilon(1e-12));

    // scipy.stats.permutation_test((d,), statistic, permutation_type='samples',
    // n_resamples=numpy.inf), statistic: the signed sum of rankdata(abs(d)) where d is not 0
    const std::vector<double> tied{15, -7, 5, 20, 0, -9, 17, -12, 5, -10};
    CHECK(signed_rank_test(tied).p == 0.64453125);
    CHECK(signed_rank_test(tied).effect == Approx(0.18518518518518517));
}

TEST_CASE("above 50 differences the normal approximation is that of scipy") {
    // i = numpy.arange(1, 61); scipy.stats.wilcoxon((i * 37 % 23 - 9) / 2, zero_method='pratt',
    // correction=True, mode='approx') -> statistic 611.5, p 0.02632965512286104
    std::vector<double> differences;
    for (int i = 1; i <= 60; ++i)
        differences.push_back((i * 37 % 23 - 9) / 2.0);
    const SignedRankTest test = signed_rank_test(differences);
    CHECK_FALSE(test.exact);
    CHECK(test.nonzero == 58);
    CHECK(test.negative_ranks == 611.5);
    CHECK(test.p == Approx(0.02632965512286104).epsilon(1e-12));
}

TEST_CASE("the approximation takes over near where the exact p-value leaves off") {
    std::vector<double> differences = random_differences(50, 3, false);
    const SignedRankTest exact = signed_rank_test(differences);
    differences.push_back(differences.front());
    const SignedRankTest approximate = signed_rank_test(differences);
    CHECK(exact.exact);
    CHECK_FALSE(approximate.exact);
    CHECK(exact.p == Approx(approximate.p).epsilon(0.5));
}

TEST_CASE("rounding errors do not break ties when a resolution is given") {
    const std::vector<double> rounded{0.3 - 0.2, 0.2 - 0.1, -(0.9 - 0.8), 0.1 + 0.2 - 0.3};
    const std::vector<double> meant{1.0, 1.0, -1.0, 0.0};
    CHECK(signed_rank_test(rounded).nonzero == 4);
    const SignedRankTest test = signed_rank_test(rounded, 1e-12);
    CHECK(test.nonzero == 3);
    CHECK(test.positive_ranks == signed_rank_test(meant).positive_ranks);
    CHECK(test.p == signed_rank_test(meant).p);
}

TEST_CASE("the Hodges-Lehmann estimate is the median of all pairs' means") {
    CHECK(hodges_lehmann(std::vector<double>{-3.0}) == -3.0);
    CHECK_FALSE(std::signbit(hodges_lehmann(std::vector<double>{-1.0, 1.0, 0.0})));
    for (std::uint32_t round = 0; round < 40; ++round) {
        std::vector<double> differences = random_differences(1 + round % 13, round, true);
        core::RandomStream random(3, core::StreamId::testing, round);
        if (round % 2 == 0)
            for (double& difference : differences)
                difference += 1e-3 * random.normal();
        CHECK(hodges_lehmann(differences) == hodges_lehmann_by_pairs(differences));
    }
}

TEST_CASE("the interval of the shift holds 0 exactly when the signed-rank test says p >= 0.05") {
    CHECK(std::isnan(hodges_lehmann_interval(std::vector<double>{1.0, 2.0, 3.0, 4.0, 5.0}).low));
    CHECK(std::isnan(hodges_lehmann_interval({}).high));
    int significant = 0;
    for (std::uint32_t round = 0; round < 300; ++round) {
        core::RandomStream random(5, core::StreamId::testing, round);
        std::vector<double> differences(6 + round % 60);
        const double shift = random.normal() * 0.5;
        for (double& difference : differences)
            difference = shift + random.normal();
        const Interval interval = hodges_lehmann_interval(differences);
        const double estimate = hodges_lehmann(differences);
        CHECK(interval.low <= estimate);
        CHECK(estimate <= interval.high);
        const double p = signed_rank_test(differences).p;
        // Around the limit the approximation of many differences may round either way.
        if (differences.size() > 50 && std::abs(p - 0.05) < 0.002) continue;
        CHECK((interval.low > 0.0 || interval.high < 0.0) == (p < 0.05));
        significant += p < 0.05 ? 1 : 0;
    }
    CHECK(significant > 50);
}

TEST_CASE("the interval of the shift is the one in the tables") {
    // n = 10: the 9th smallest and largest of the means of pairs.
    const std::vector<double> differences{0.3, -1.1, 2.4, 0.9, 1.7, 3.2, -0.4, 2.1, 1.3, 0.6};
    std::vector<double> means;
    for (std::size_t i = 0; i < differences.size(); ++i)
        for (std::size_t j = i; j < differences.size(); ++j)
            means.push_back(0.5 * differences[i] + 0.5 * differences[j]);
    std::sort(means.begin(), means.end());
    const Interval interval = hodges_lehmann_interval(differences);
    CHECK(interval.low == means[8]);
    CHECK(interval.high == means[means.size() - 9]);
}

TEST_CASE("variances between and within groups need two groups, and a group of two") {
    using Groups = std::vector<std::vector<double>>;
    CHECK(std::isnan(variance_components({}).between));
    CHECK(std::isnan(variance_components(Groups{{1.0, 2.0}}).within));
    CHECK(std::isnan(variance_components(Groups{{1.0}, {2.0}, {}}).within));
    // Means 2, 5, 11, of squares 2, 8, 2 around them; the mean of all is 6.
    const auto equal = variance_components(Groups{{1.0, 3.0}, {3.0, 7.0}, {10.0, 12.0}});
    CHECK(equal.within == Approx(12.0 / 3.0));
    CHECK(equal.between == Approx((2.0 * (16.0 + 1.0 + 25.0) / 2.0 - 4.0) / 2.0));
    // Of unequal sizes: the mean of all is 3; n0 = 5 − 13/5 = 2.4.
    const auto unequal = variance_components(Groups{{0.0, 1.0, 2.0}, {}, {5.0, 7.0}});
    CHECK(unequal.within == Approx(4.0 / 3.0));
    CHECK(unequal.between == Approx((3.0 * 4.0 + 2.0 * 9.0 - 4.0 / 3.0) / 2.4));
    CHECK(variance_components(Groups{{0.0, 9.0}, {1.0, 8.0}}).between == 0.0);
}

TEST_CASE("Holm adjusts step by step and keeps the order") {
    // 4 × 0.01; 3 × 0.02; max(2 × 0.03, 0.06); max(1 × 0.035, 0.06)
    const std::vector<double> adjusted =
        holm_adjusted(std::vector<double>{0.03, 0.01, 0.035, 0.02});
    CHECK(adjusted[0] == Approx(0.06));
    CHECK(adjusted[1] == Approx(0.04));
    CHECK(adjusted[2] == Approx(0.06));
    CHECK(adjusted[3] == Approx(0.06));
    CHECK(holm_adjusted(std::vector<double>{0.9, 0.8})[0] == 1.0);
}

TEST_CASE("a test that was not made does not count for Holm") {
    const std::vector<double> adjusted = holm_adjusted(std::vector<double>{absent, 0.02, 0.04});
    CHECK(std::isnan(adjusted[0]));
    CHECK(adjusted[1] == 0.04);
    CHECK(adjusted[2] == 0.04);
    CHECK(holm_adjusted({}).empty());
}
