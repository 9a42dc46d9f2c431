#include "hdap/fleet/effective_dimension.hpp"

#include "fleet/anatomy/made_fleets.hpp"
#include "hdap/core/statistics.hpp"

#include <catch2/catch.hpp>

#include <cmath>

using namespace hdap;
using namespace hdap::fleet;
using hdap::test::made_fleet;

TEST_CASE("one benchmark, few devices, and devices of one benchmark each have no known dimension") {
    Fleet apart = made_fleet({.devices = 50, .benchmarks = 2, .speed = 0.1});
    for (std::size_t i = 0; i < 50; ++i)
        apart.latency_ms[2 * i + i % 2] = std::numeric_limits<double>::quiet_NaN();
    for (const Fleet& fleet : {made_fleet({.devices = 50, .benchmarks = 1, .speed = 0.1}),
                               made_fleet({.devices = 2, .speed = 0.1}), apart}) {
        const EffectiveDimension dimension = effective_dimension(fleet);
        CHECK_FALSE(dimension.unknown.empty());
        CHECK(dimension.errors.empty());
        CHECK(dimension.rank() == 0);
    }
}

TEST_CASE("identical devices need no number") {
    const EffectiveDimension dimension = effective_dimension(made_fleet({.devices = 20}));
    CHECK(dimension.unknown.empty());
    CHECK(dimension.rank() == 0);
    for (const DimensionError& of : dimension.errors)
        CHECK(of.error == Approx(0.0).margin(1e-9));
}

TEST_CASE("noise alone needs no number") {
    const EffectiveDimension dimension =
        effective_dimension(made_fleet({.devices = 500, .noise = 0.01}));
    CHECK(dimension.rank() == 0);
    CHECK(dimension.errors[0].error == Approx(0.01).epsilon(0.05));
}

TEST_CASE("devices that differ by one ratio each need that ratio") {
    for (const double missing : {0.0, 0.3}) {
        const EffectiveDimension dimension = effective_dimension(
            made_fleet({.devices = 1000, .speed = 0.06, .noise = 0.003, .missing = missing}));
        CHECK(dimension.rank() == 1);
        CHECK(dimension.errors[dimension.chosen].one_ratio);
        CHECK(core::mean(dimension.unpredicted) == Approx(0.003 * 0.003).epsilon(0.1));
    }
}

TEST_CASE("one ratio predicts as well as the plain formula: a device's mean over the others") {
    const Fleet fleet = made_fleet({.devices = 400, .benchmarks = 4, .speed = 0.05, .noise = 0.01});
    std::vector<double> medians;
    for (std::size_t b = 0; b < 4; ++b)
        medians.push_back(std::log(core::median(measured_latencies(fleet, b))));
    double squares = 0.0;
    for (std::size_t i = 0; i < 400; ++i)
        for (std::size_t b = 0; b < 4; ++b) {
            double others = 0.0;
            for (std::size_t c = 0; c < 4; ++c)
                if (c != b) others += std::log(fleet.latency_ms[4 * i + c]) - medians[c];
            squares += std::pow(std::log(fleet.latency_ms[4 * i + b]) - medians[b] - others / 3, 2);
        }
    const EffectiveDimension dimension = effective_dimension(fleet);
    CHECK(dimension.errors[1].one_ratio);
    CHECK(dimension.errors[1].error == Approx(std::sqrt(squares / 1600.0)).epsilon(0.04));
}

TEST_CASE("a planted number of factors is found, also when a third is missing") {
    for (const std::size_t factors : {1, 2, 3})
        for (const double missing : {0.0, 0.3}) {
            const EffectiveDimension dimension =
                effective_dimension(made_fleet({.devices = 1500,
                                                .benchmarks = 12,
                                                .speed = 0.05,
                                                .noise = 0.003,
                                                .factors = factors,
                                                .shape = 0.04,
                                                .missing = missing}));
            INFO(factors << " factors, " << missing << " missing");
            CHECK(dimension.rank() == factors + 1); // and overall speed
            CHECK(core::mean(dimension.unpredicted) == Approx(0.003 * 0.003).epsilon(0.2));
        }
}

TEST_CASE("one device in fifty that is twice as slow makes no fleet of one ratio") {
    Fleet fleet = made_fleet({.devices = 1000, .noise = 0.005, .factors = 2, .shape = 0.03});
    const EffectiveDimension before = effective_dimension(fleet);
    REQUIRE(before.rank() == 2);
    test::slow_down(fleet, 0, 20, 2.0);
    const EffectiveDimension after = effective_dimension(fleet);
    CHECK(after.rank() >= 2);
    CHECK(after.rank() <= 3); // the odd ones' speed
    for (std::size_t k = 0; k < 5; ++k)
        CHECK(after.errors[k].error == Approx(before.errors[k].error).epsilon(0.2));
}

TEST_CASE("devices and benchmarks that share too little with others are left out") {
    Fleet fleet = made_fleet({.devices = 60, .benchmarks = 5, .speed = 0.05, .noise = 0.001});
    const double none = std::numeric_limits<double>::quiet_NaN();
    for (std::size_t i = 1; i < 60; ++i) // one device ran benchmark 4
        fleet.latency_ms[5 * i + 4] = none;
    for (std::size_t b = 1; b < 4; ++b) // and no more than one other
        fleet.latency_ms[b] = none;
    const EffectiveDimension dimension = effective_dimension(fleet);
    CHECK(dimension.devices == 59);
    CHECK(dimension.rank() == 1);
    CHECK(dimension.unpredicted.size() == 5);
    CHECK(dimension.unpredicted[4] == Approx(0.001 * 0.001).epsilon(0.3));
}
