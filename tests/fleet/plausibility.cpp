#include "hdap/fleet/plausibility.hpp"

#include "hdap/core/random.hpp"

#include <catch2/catch.hpp>

#include <cmath>
#include <functional>

using namespace hdap;
using namespace hdap::fleet;

namespace {

/// 40 devices on 4 benchmarks of 2 ms to 40 ms.
Fleet plausible_fleet() {
    core::RandomStream random(3, core::StreamId::testing);
    Fleet fleet;
    fleet.sku = "board";
    fleet.benchmark_names = {"small", "medium", "large", "huge"};
    const double base[] = {2.0, 5.0, 12.0, 40.0};
    for (std::size_t i = 0; i < 40; ++i) {
        fleet.device_ids.push_back("nx-" + std::to_string(i));
        for (const double latency : base)
            fleet.latency_ms.push_back(latency * std::exp(0.05 * random.normal()));
    }
    return fleet;
}

double& cell(Fleet& fleet, std::size_t device, std::size_t benchmark) {
    return fleet.latency_ms[device * fleet.benchmarks() + benchmark];
}

} // namespace

TEST_CASE("a plausible fleet raises no doubt, with throttled devices and a single one") {
    CHECK(doubts_about(plausible_fleet()).empty());
    Fleet slow = plausible_fleet();
    slow.device_ids[5] = "Ger\xC3\xA4t \xE2\x82\xAC \xF0\x9F\x98\x80";
    for (std::size_t b = 0; b < 4; ++b)
        cell(slow, 7, b) *= 3.0;
    cell(slow, 8, 2) *= 20.0;
    CHECK(doubts_about(slow).empty());
    Fleet alone = plausible_fleet();
    alone.device_ids.resize(1);
    alone.latency_ms.resize(4);
    CHECK(doubts_about(alone).empty());
}

TEST_CASE("what is odd about a fleet is told with names and the likely unit") {
    using Change = std::function<void(Fleet&)>;
    const auto scale = [](std::size_t every, double factor) {
        return [=](Fleet& fleet) {
            for (std::size_t i = 0; i < fleet.devices(); i += every)
                for (std::size_t b = 0; b < fleet.benchmarks(); ++b)
                    cell(fleet, i, b) *= factor;
        };
    };
    const auto benchmark = [](double factor) {
        return [=](Fleet& fleet) {
            for (std::size_t i = 0; i < fleet.devices(); ++i)
                cell(fleet, i, 1) *= factor;
        };
    };
    const std::vector<std::pair<Change, std::string>> cases = {
        {scale(10, 1e3), "4 of 40 devices ('nx-0', 'nx-10', 'nx-20', …) take 1"},
        {scale(10, 1e3), "are they in microseconds instead of milliseconds?"},
        {scale(10, 1e6), "are they in nanoseconds"},
        {scale(10, 1e-3), "are they in seconds"},
        {scale(2, 1e3), "20 of 40 devices"},
        {scale(20, 30.0), "of another kind, or in another unit?"},
        {scale(1, 1e-4), "are latencies in seconds"},
        {scale(1, 1e6), "are latencies in microseconds or nanoseconds"},
        {benchmark(1e-3), "a benchmark ('medium') takes 0.00498 ms, 1/2400 times"},
        {benchmark(1e-3), "is it in seconds"},
        {benchmark(1e4), "is it in microseconds"},
        {[](Fleet& f) { cell(f, 3, 2) *= 1000.0; }, "1 latency is far"},
        {[](Fleet& f) {
             for (std::size_t i = 0; i < 40; ++i)
                 cell(f, i, 0) = 2.0;
         },
         "all 40 devices have the same latency on 1 of 4 benchmarks ('small')"},
        {[](Fleet& f) {
             for (std::size_t i = 0; i < 40; ++i)
                 cell(f, i, 0) = i % 2 == 0 ? std::nan("") : 2.0;
         },
         "all devices that were measured have the same latency on 1 of 4 benchmarks ('small')"},
        {[](Fleet& f) {
             for (std::size_t i = 0; i < 21; ++i)
                 cell(f, i, 2) = std::nan("");
         },
         "1 of 4 benchmarks ('large') was measured on fewer than half of the devices, down to 19 "
         "of "
         "40"},
        {[](Fleet& f) {
             for (std::size_t b = 1; b < 4; ++b)
                 cell(f, 3, b) = std::nan("");
             cell(f, 3, 0) *= 1000.0;
         },
         "are they in microseconds"},
        {[](Fleet& f) { f.device_ids[4] = "NX-5"; }, "1 device id differs"},
        {[](Fleet& f) { f.device_ids[4] = "nx -5"; }, "('nx -5' and 'nx-5')"},
        {[](Fleet& f) {
             f.device_ids[4] = "nx-\xC2\xA0"
                               "5";
         },
         "are they the same?"},
        {[](Fleet& f) { f.device_ids[4] = "Ger\xE4t"; }, "1 of 40 device ids"},
        {[](Fleet& f) { f.device_ids[4] = "\xE2\x82"; }, "not in UTF-8"},
        {[](Fleet& f) { f.benchmark_names[1] = "gro\xDF"; }, "1 of 4 benchmark names"},
        {[](Fleet& f) { f.device_ids[4] = "3.56938E+14"; }, "1 of 40 device ids ('3.56938E+14')"},
        {[](Fleet& f) {
             for (std::size_t i = 0; i < 40; ++i)
                 f.device_ids[i] = "1234567890" + std::to_string(10000 + i) + "000";
         },
         "a spreadsheet rounded"},
    };
    for (const auto& [change, text] : cases) {
        Fleet fleet = plausible_fleet();
        change(fleet);
        const auto doubts = doubts_about(fleet);
        CAPTURE(text, doubts);
        REQUIRE(doubts.size() == 1);
        CHECK_THAT(doubts[0], Catch::Contains(text));
    }
}

TEST_CASE("names that a spreadsheet made of long numbers are known from others") {
    for (const char* name : {"3.56938E+14", "3,56938E+14", "3E+14", "1.5e12", "1E+308"})
        CHECK(is_rounded_number(name));
    for (const char* name :
         {"", "E+14", "nx-1", "3.56938", "356938035643809", "3.5E-14", "1e5", "3.569380356438E+12",
          "33.5E+14", "3.5E+14x", "0E+14", "3xE+14", "4e123456", "1e309"})
        CHECK_FALSE(is_rounded_number(name));
}
