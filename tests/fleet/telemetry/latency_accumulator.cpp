#include "fleet/telemetry/latency_accumulator.hpp"

#include "hdap/core/error.hpp"
#include "hdap/core/random.hpp"
#include "hdap/core/statistics.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <cmath>
#include <set>

using namespace hdap;
using namespace hdap::fleet;

namespace {

/// Latencies over several powers of ten.
std::vector<double> latencies(std::size_t count) {
    core::RandomStream random(3, core::StreamId::testing, static_cast<std::uint32_t>(count));
    std::vector<double> values;
    for (std::size_t i = 0; i < count; ++i)
        values.push_back(std::exp(10.0 * random.uniform() - 5.0));
    return values;
}

LatencyAccumulator of(const std::vector<double>& values) {
    LatencyAccumulator accumulator;
    for (const double value : values)
        accumulator.add(value);
    return accumulator;
}

constexpr double some_quantiles[] = {0.0, 0.01, 0.25, 0.5, 0.75, 0.9, 0.99, 1.0};

} // namespace

TEST_CASE("there is no quantile of no latencies") {
    CHECK_THROWS_AS(LatencyAccumulator().quantile_ms(0.5), core::InternalError);
}

TEST_CASE("quantiles of few runs are those of the sorted runs") {
    for (const std::size_t count : {1U, 2U, 3U, 100U, 256U}) {
        const std::vector<double> values = latencies(count);
        const LatencyAccumulator accumulator = of(values);
        CHECK(accumulator.runs() == static_cast<std::int64_t>(count));
        CHECK(accumulator.exact().size() == count);
        for (const double q : some_quantiles)
            CHECK(accumulator.quantile_ms(q) == core::quantile(values, q));
    }
}

TEST_CASE("quantiles of many runs are within half a thousandth of a sorted run") {
    for (const std::size_t count : {257U, 1000U, 30'000U}) {
        std::vector<double> values = latencies(count);
        const LatencyAccumulator accumulator = of(values);
        CHECK(accumulator.exact().empty());
        std::sort(values.begin(), values.end());
        for (const double q : some_quantiles) {
            const auto rank = std::lround(q * static_cast<double>(count - 1));
            CHECK(accumulator.quantile_ms(q) ==
                  Approx(values[static_cast<std::size_t>(rank)]).epsilon(0.00051));
        }
    }
}

TEST_CASE("neither the order of the runs matters nor how they are put together") {
    for (const std::size_t count : {200U, 300U, 5000U}) {
        std::vector<double> values = latencies(count);
        const LatencyAccumulator forwards = of(values);
        LatencyAccumulator parts;
        for (std::size_t first = 0; first < count; first += 70)
            parts.add(of({values.begin() + static_cast<std::ptrdiff_t>(first),
                          values.begin() + static_cast<std::ptrdiff_t>(
                                               std::min<std::size_t>(first + 70, count))}));
        LatencyAccumulator halves = of({values.begin() + 20, values.end()});
        halves.add(of({values.begin(), values.begin() + 20}));
        std::reverse(values.begin(), values.end());
        const LatencyAccumulator backwards = of(values);
        const LatencyAccumulator* const others[] = {&backwards, &parts, &halves};
        for (const LatencyAccumulator* other : others) {
            CHECK(other->runs() == forwards.runs());
            for (const double q : some_quantiles)
                CHECK(other->quantile_ms(q) == forwards.quantile_ms(q));
        }
    }
}

TEST_CASE("a set of runs is a set") {
    core::RandomStream random(4, core::StreamId::testing, 0);
    for (const std::uint32_t range : {3U, 50U, 2000U}) {
        RunSet runs;
        std::set<std::int64_t> reference;
        for (int i = 0; i < 3000; ++i) {
            const std::int64_t run = static_cast<std::int64_t>(random.below(range)) - range / 2;
            CHECK(runs.insert(run) == reference.insert(run).second);
        }
    }
}

TEST_CASE("a set of runs knows the largest and the smallest number") {
    constexpr std::int64_t largest = std::numeric_limits<std::int64_t>::max();
    constexpr std::int64_t smallest = std::numeric_limits<std::int64_t>::min();
    RunSet runs;
    for (const std::int64_t run : {largest, smallest, largest - 1, smallest + 1, std::int64_t{0}}) {
        CHECK(runs.insert(run));
        CHECK(!runs.insert(run));
    }
}
