#include "hdap/fleet/anatomy.hpp"

#include "fleet/anatomy/made_fleets.hpp"

#include <catch2/catch.hpp>

#include <cmath>
#include <limits>
#include <omp.h>

using namespace hdap;
using namespace hdap::fleet;
using Catch::Contains;
using hdap::test::made_fleet;

namespace {

Noise noise_of(const Fleet& fleet, double sd) {
    return {.variance = test::variances(fleet, sd)};
}

/// All numbers of an anatomy.
std::vector<double> numbers_of(const FleetAnatomy& anatomy) {
    std::vector<double> numbers = anatomy.noise.variance;
    const auto add = [&](std::initializer_list<double> more) {
        numbers.insert(numbers.end(), more);
    };
    for (const VarianceParts& parts : {anatomy.split.all, anatomy.split.main})
        add({parts.noise, parts.speed, parts.shape});
    add({anatomy.split.odd_share});
    for (const DimensionError& of : anatomy.dimension.errors)
        add({of.error, of.standard_error});
    for (const Explanation& of : anatomy.explanations)
        add({of.speed, of.shape, of.speed_p, of.shape_p});
    const auto add_estimate = [&](const Estimate& of) {
        add({of.value, of.interval.lower, of.interval.upper});
    };
    for (const RegretBound& bound : anatomy.regret.figures) {
        add({bound.one_device_raw});
        for (const Estimate& of : {bound.one_device, bound.one_device_p95, bound.central_device,
                                   bound.equal_groups.value_or(Estimate{})})
            add_estimate(of);
    }
    if (anatomy.agreement) add({anatomy.agreement->lowest, anatomy.agreement->median});
    return numbers;
}

/// A small fleet of any kind: few or many devices, identical, odd or missing ones, labels.
Fleet any_fleet(std::uint32_t number) {
    core::RandomStream random(16, core::StreamId::testing, number);
    const auto pick = [&](std::initializer_list<double> values) {
        return values.begin()[random.below(values.size())];
    };
    Fleet fleet = made_fleet({.devices = 1 + random.below(number % 4 == 0 ? 4 : 40),
                              .benchmarks = 1 + random.below(6),
                              .speed = pick({0.0, 0.05}),
                              .noise = pick({0.0, 0.01}),
                              .factors = random.below(3),
                              .shape = pick({0.0, 0.03}),
                              .missing = pick({0.0, 0.3, 0.9}),
                              .number = number});
    if (random.below(3) == 0) test::slow_down(fleet, 0, 1, 1e6, random.below(fleet.benchmarks()));
    if (random.below(2) == 0) {
        DeviceLabel label{.name = "kind", .values = {}};
        for (std::size_t i = 0; i < fleet.devices(); ++i)
            label.values.push_back(random.below(4) == 0 ? "" : std::to_string(random.below(3)));
        fleet.labels = {label};
        fleet.attributes = {{.name = "clock", .unit = "MHz", .values = {}}};
        for (std::size_t i = 0; i < fleet.devices(); ++i)
            fleet.attributes[0].values.push_back(
                random.below(4) == 0 ? std::numeric_limits<double>::quiet_NaN() : random.normal());
    }
    return fleet;
}

} // namespace

TEST_CASE("no fleet, however small, odd or incomplete, has a number that is none") {
    for (std::uint32_t number = 0; number < 50; ++number) {
        Fleet fleet = any_fleet(number);
        bool valid = true; // devices keep a latency each, few of them not every benchmark
        for (std::size_t b = 0; b < fleet.benchmarks(); ++b)
            valid = valid && !measured_latencies(fleet, b).empty();
        if (!valid) continue;
        INFO("fleet " << number << ", " << fleet.devices() << " × " << fleet.benchmarks());
        REQUIRE_NOTHROW(check_fleet(fleet, "made"));
        const FleetAnatomy anatomy = anatomy_of(fleet);
        for (const double value : numbers_of(anatomy))
            REQUIRE(std::isfinite(value));
        CHECK(anatomy.sample_sizes.mean.devices >= 1);
        CHECK(anatomy.sample_sizes.p95.devices <= fleet.devices());
        CHECK(anatomy.sample_sizes.worst_percent.devices <= fleet.devices());
        CHECK_THAT(verdict(anatomy), !Contains("nan") && !Contains("inf"));
        CHECK_FALSE(verdict(anatomy).empty());
    }
}

TEST_CASE("of one device, one benchmark and identical devices it says what is not known") {
    const auto says = [](const Fleet& fleet) { return verdict(anatomy_of(fleet)); };
    CHECK_THAT(says(made_fleet({.devices = 1, .speed = 0.1})), Contains("One device"));
    CHECK_THAT(says(made_fleet({.devices = 30, .benchmarks = 1, .speed = 0.1})),
               Contains("one benchmark cannot tell"));
    CHECK_THAT(says(made_fleet({.devices = 30})), Contains("do not differ"));
    Fleet apart = made_fleet({.devices = 30, .benchmarks = 2, .speed = 0.1});
    for (std::size_t i = 0; i < 30; ++i)
        apart.latency_ms[2 * i + i % 2] = std::numeric_limits<double>::quiet_NaN();
    CHECK_THAT(says(apart), Contains("No two benchmarks ran on the same devices"));
    Fleet alone = made_fleet({.devices = 30, .benchmarks = 30, .speed = 0.1});
    for (std::size_t i = 0; i < alone.latency_ms.size(); ++i)
        if (i / 30 != i % 30) alone.latency_ms[i] = std::numeric_limits<double>::quiet_NaN();
    CHECK_THAT(says(alone), Contains("No two devices ran the same benchmark"));
}

TEST_CASE("one device is enough where that is known with its interval") {
    const auto is_enough = [](const Fleet& fleet, double noise) {
        return one_device_is_enough(anatomy_of(fleet, noise_of(fleet, noise)));
    };
    CHECK(is_enough(made_fleet({.devices = 500, .speed = 0.1, .noise = 0.003}), 0.003));
    CHECK_FALSE(is_enough(made_fleet({.devices = 500, .factors = 1, .shape = 0.03}), 0.0));
    CHECK_FALSE(is_enough(made_fleet({.devices = 1}), 0.0));
    FleetAnatomy doubtful = anatomy_of(made_fleet({.devices = 50, .speed = 0.1}));
    doubtful.regret.figures.resize(1);
    doubtful.regret.figures[0].one_device_p95 = {0.009, {0.004, 0.011}};
    CHECK_FALSE(one_device_is_enough(doubtful));
    CHECK_THAT(verdict(doubtful), !Contains("one device stands for all"));
}

TEST_CASE("a fleet of one dimension needs one device") {
    const Fleet fleet = made_fleet({.devices = 2000, .speed = 0.061, .noise = 0.004});
    const FleetAnatomy repeated = anatomy_of(fleet, noise_of(fleet, 0.004));
    CHECK_THAT(verdict(repeated), Contains("by 6.") && Contains("within noise (0.40 %): one device "
                                                                "stands for all"));
    // Without repeats it says the same, and what is left open.
    CHECK_THAT(verdict(anatomy_of(fleet)), Contains("if it is noise") &&
                                               Contains("one device stands for all") &&
                                               Contains("repeated measurements would tell"));
}

TEST_CASE("a fleet of shapes has a price") {
    Fleet fleet = made_fleet({.devices = 1000, .speed = 0.02, .noise = 0.002});
    DeviceLabel firmware{.name = "firmware", .values = {}};
    for (std::size_t i = 0; i < 1000; ++i) {
        firmware.values.push_back(i % 5 == 0 ? "2.0" : "1.0");
        if (i % 5 == 0) test::slow_down(fleet, i, i + 1, 1.2, 4);
    }
    fleet.labels = {firmware};
    const FleetAnatomy anatomy = anatomy_of(fleet);
    CHECK(anatomy.groups_by == "firmware");
    REQUIRE(anatomy.regret.figures.size() == 4);
    CHECK(anatomy.explanations.at(0).explains_shape());
    CHECK_THAT(verdict(anatomy),
               Contains("can make the fleet's mean up to 16 % (15 to ") && Contains("slowest"));
}

TEST_CASE("no number depends on the number of threads") {
    Fleet fleet = made_fleet({.devices = 1200,
                              .speed = 0.02,
                              .noise = 0.01,
                              .factors = 2,
                              .shape = 0.02,
                              .missing = 0.2});
    fleet.labels = {{.name = "kind", .values = {}}};
    for (std::size_t i = 0; i < 1200; ++i) {
        fleet.labels[0].values.push_back(i % 3 == 0 ? "a" : "b");
        if (i % 3 == 0) test::slow_down(fleet, i, i + 1, 1.1, 5);
    }
    const int threads = omp_get_max_threads();
    omp_set_num_threads(1);
    const FleetAnatomy one = anatomy_of(fleet);
    omp_set_num_threads(3);
    const FleetAnatomy three = anatomy_of(fleet);
    omp_set_num_threads(threads);
    CHECK(one.groups_by == "kind");
    CHECK(numbers_of(one) == numbers_of(three));
    CHECK(one.sample_sizes.worst_percent.devices == three.sample_sizes.worst_percent.devices);
}

TEST_CASE("a shape above noise that costs next to nothing is told as such") {
    const Fleet fleet =
        made_fleet({.devices = 1000, .speed = 0.02, .noise = 0.0002, .factors = 1, .shape = 0.001});
    CHECK_THAT(verdict(anatomy_of(fleet, noise_of(fleet, 0.0002))),
               Contains("% in shape, but a search on one device makes no figure of the fleet more "
                        "than 0.") &&
                   Contains("one device stands for all"));
}

TEST_CASE("two devices without repeats cannot tell a shape from noise") {
    const Fleet fleet = made_fleet({.devices = 2, .benchmarks = 3, .speed = 0.1, .noise = 0.05});
    CHECK(anatomy_of(fleet).noise_is_in_shape());
    CHECK_FALSE(anatomy_of(fleet, noise_of(fleet, 0.05)).noise_is_in_shape());
    CHECK_THAT(verdict(anatomy_of(fleet)), Contains("What of that is noise is not known"));
}

TEST_CASE("groups that are given take the place of a label's") {
    Fleet fleet = made_fleet({.devices = 100, .speed = 0.02, .noise = 0.002});
    std::vector<std::int32_t> groups(100, 0);
    for (std::size_t i = 0; i < 30; ++i)
        groups[i] = 1;
    test::slow_down(fleet, 0, 30, 1.2, 4);
    const FleetAnatomy anatomy = anatomy_of(fleet, std::nullopt, groups);
    CHECK(anatomy.groups_by == "given");
    REQUIRE(anatomy.agreement);
    CHECK(anatomy.agreement->groups == 2);
    CHECK(anatomy.regret.figures.size() == 4);
    CHECK(anatomy_of(fleet).regret.figures.size() == 3);
}

TEST_CASE("numbers in sentences have two digits, and intervals one sign") {
    CHECK(percent_text(0.0612) == "6.1 %");
    CHECK(percent_text(0.12) == "12 %");
    CHECK(percent_text(1.234) == "123 %");
    CHECK(percent_text(0.00005) == "under 0.01 %");
    CHECK(percent_text(0.0) == "0 %");
    CHECK(percent_text(Estimate{0.06, {0.03, 0.09}}) == "6.0 % (3.0 to 9.0 %)");
    CHECK(percent_text(Estimate{0.0, {0.0, 0.00001}}) == "under 0.01 %");
    CHECK(percent_text(Estimate{0.02, {0.0, 0.03}}) == "2.0 % (0 to 3.0 %)");
}
