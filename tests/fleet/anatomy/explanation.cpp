#include "hdap/fleet/explanation.hpp"

#include "fleet/anatomy/made_fleets.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <cmath>
#include <limits>

using namespace hdap;
using namespace hdap::fleet;
using hdap::test::made_fleet;

namespace {

/// A label of `values` values in turn.
DeviceLabel in_turn(const Fleet& fleet, const std::string& name, std::size_t values) {
    DeviceLabel label{.name = name, .values = {}};
    for (std::size_t i = 0; i < fleet.devices(); ++i)
        label.values.push_back(name + std::to_string(i % values));
    return label;
}

const Explanation* find(const std::vector<Explanation>& all, const std::string& name) {
    const auto found = std::find_if(all.begin(), all.end(),
                                    [&](const Explanation& of) { return of.name == name; });
    return found == all.end() ? nullptr : &*found;
}

} // namespace

TEST_CASE("labels with one value, or with a value per device, and few devices explain nothing") {
    Fleet fleet = made_fleet({.devices = 100, .speed = 0.05});
    fleet.labels = {in_turn(fleet, "all", 1), in_turn(fleet, "serial", 100),
                    in_turn(fleet, "pair", 60)};
    fleet.attributes = {{.name = "serial number", .unit = "1", .values = std::vector<double>(100)}};
    CHECK(explanations(fleet).empty());
    fleet = made_fleet({.devices = 7, .speed = 0.05});
    fleet.labels = {in_turn(fleet, "half", 2)};
    CHECK(explanations(fleet).empty());
    CHECK(explanations(made_fleet({.devices = 7})).empty());
}

TEST_CASE("labels that do not matter are told from chance, however many there are") {
    int false_alarms = 0;
    for (std::uint32_t number = 0; number < 20; ++number) {
        Fleet fleet = made_fleet(
            {.devices = 120, .speed = 0.05, .factors = 1, .shape = 0.02, .number = number});
        for (std::size_t values = 2; values < 12; ++values)
            fleet.labels.push_back(in_turn(fleet, "label" + std::to_string(values), values));
        for (const Explanation& of : explanations(fleet)) {
            false_alarms += of.explains_speed() ? 1 : 0;
            false_alarms += of.explains_shape() ? 1 : 0;
        }
    }
    CHECK(false_alarms <= 4); // of 20 fleets 1 is expected to have any
}

TEST_CASE("what a label explains is found, of speed and of shape, best first") {
    Fleet fleet =
        made_fleet({.devices = 600, .speed = 0.02, .noise = 0.002, .factors = 1, .shape = 0.01});
    fleet.labels = {in_turn(fleet, "rack", 29), in_turn(fleet, "mode", 2),
                    in_turn(fleet, "driver", 3)};
    for (std::size_t i = 0; i < 600; ++i) {
        if (i % 2 == 0) test::slow_down(fleet, i, i + 1, 1.08);    // mode
        if (i % 3 == 0) test::slow_down(fleet, i, i + 1, 1.03, 4); // driver
        if (i % 7 == 0) fleet.labels[2].values[i].clear();         // not known
    }
    const auto all = explanations(fleet);
    REQUIRE(all.size() == 3);
    CHECK(all[0].name == "mode");
    // Half of the devices 7.7 % slower: 0.0385² ÷ (0.0385² + 0.02² + what the driver does)
    CHECK(all[0].speed == Approx(0.78).margin(0.04));
    CHECK(all[0].explains_speed());
    CHECK_FALSE(all[0].explains_shape());
    const Explanation* driver = find(all, "driver");
    REQUIRE(driver != nullptr);
    CHECK(driver->explains_shape());
    CHECK(driver->shape > 0.15);
    CHECK(driver->devices == 514);
    CHECK(driver->groups == 3);
}

TEST_CASE("a number that matters in the middle of its range is found") {
    Fleet fleet = made_fleet({.devices = 800, .speed = 0.01, .noise = 0.001});
    DeviceAttribute clock{.name = "clock", .unit = "MHz", .values = {}};
    DeviceAttribute chance{.name = "chance", .unit = "1", .values = {}};
    core::RandomStream random(3, core::StreamId::testing);
    for (std::size_t i = 0; i < 800; ++i) {
        clock.values.push_back(1000.0 + random.uniform());
        chance.values.push_back(i % 5 == 0 ? std::numeric_limits<double>::quiet_NaN()
                                           : random.uniform());
        if (std::abs(clock.values[i] - 1000.5) < 0.25) test::slow_down(fleet, i, i + 1, 1.1);
    }
    fleet.attributes = {chance, clock};
    const auto all = explanations(fleet);
    REQUIRE(all.size() == 2);
    CHECK(all[0].name == "clock");
    CHECK(all[0].numeric);
    CHECK(all[0].speed > 0.8);
    CHECK(all[1].devices == 640);
    CHECK_FALSE(all[1].explains_speed());
}
