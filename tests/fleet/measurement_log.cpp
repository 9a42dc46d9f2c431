#include "hdap/fleet/measurement_log.hpp"

#include "hdap/core/error.hpp"
#include "hdap/network/network_file.hpp"
#include "hdap/network/search_space.hpp"
#include "hdap/network/zoo.hpp"
#include "support/temporary_folder.hpp"

#include <catch2/catch.hpp>

#include <cmath>
#include <fstream>
#include <thread>

using namespace hdap;
using namespace hdap::fleet;

namespace {

CandidateMeasurement measurement(const std::string& device, double latency_ms) {
    CandidateMeasurement one;
    one.candidate = "c-0123456789ab";
    one.device = device;
    one.latency_ms = latency_ms;
    one.runs = 3;
    one.origin = "tool";
    return one;
}

CandidateMeasurement failed(const std::string& device) {
    CandidateMeasurement one = measurement(device, std::nan(""));
    one.failure = "out of \"memory\"\n";
    return one;
}

} // namespace

TEST_CASE("what was measured is read again, whatever devices are called") {
    const test::TemporaryFolder folder;
    const auto file = folder / "log.jsonl";
    const std::string odd = "b\xC3\xB6rd \"7\", 1";
    {
        MeasurementLog log(file);
        CHECK(log.append(measurement(odd, 12.25)));
        CHECK_FALSE(log.append(measurement(odd, 12.25)));
        CHECK(log.append(measurement(odd, 14.0)));
        CHECK(log.append(failed("other")));
        CHECK_FALSE(log.append(failed("other")));
    }
    const MeasurementLog log(file);
    CHECK(log.size() == 3);
    CHECK(log.unreadable() == 0);
    CHECK(log.latency_ms("c-0123456789ab", odd) == 13.125);
    REQUIRE(log.latency_ms("c-0123456789ab", "other"));
    CHECK(std::isnan(*log.latency_ms("c-0123456789ab", "other")));
    CHECK_FALSE(log.latency_ms("c-0123456789ab", "third"));
    CHECK(log.contradictions().empty());
}

TEST_CASE("a line that was cut is left out, and the next one begins on a line of its own") {
    const test::TemporaryFolder folder;
    const auto file = folder / "log.jsonl";
    MeasurementLog(file).append(measurement("a", 1.0));
    std::ofstream(file, std::ios::app) << R"({"candidate":"c-0123456789ab","device":"b","la)";
    MeasurementLog(file).append(measurement("c", 2.0));
    std::ofstream(file, std::ios::app) << R"({"candidate":1,"device":"b","runs":1,"origin":""})"
                                       << "\n[1]\n"
                                       << R"({"candidate":"x","device":"b","runs":1,"origin":"",)"
                                       << R"("latency_ms":-1})"
                                       << "\n";
    const MeasurementLog log(file);
    CHECK(log.size() == 2);
    CHECK(log.unreadable() == 4);
    CHECK(log.latency_ms("c-0123456789ab", "c") == 2.0);
}

TEST_CASE("measurements a factor of two apart are told, with what measured them") {
    const test::TemporaryFolder folder;
    MeasurementLog log(folder / "log.jsonl");
    log.append(measurement("a", 10.0));
    log.append(measurement("a", 19.0));
    CHECK(log.contradictions().empty());
    log.append(measurement("a", 20.0));
    REQUIRE(log.contradictions().size() == 1);
    CHECK_THAT(log.contradictions()[0],
               Catch::Contains("10.00 ms (tool) and 20.00 ms (tool) on device 'a'"));
}

TEST_CASE("threads and programs append whole lines to one file") {
    const test::TemporaryFolder folder;
    const auto file = folder / "log.jsonl";
    MeasurementLog first(file);
    MeasurementLog second(file);
    constexpr int lines = 50;
    {
        std::vector<std::jthread> threads;
        for (int t = 0; t < 4; ++t)
            threads.emplace_back([&, t] {
                for (int i = 0; i < lines; ++i)
                    (t % 2 == 0 ? first : second)
                        .append(measurement("d" + std::to_string(t), 1.0 + i));
            });
    }
    const MeasurementLog log(file);
    CHECK(log.unreadable() == 0);
    CHECK(log.size() == 4 * lines);
}

TEST_CASE(
    "latencies of different times are told as of one, where the unpruned network was beside") {
    const test::TemporaryFolder folder;
    const auto file = folder / "log.jsonl";
    {
        MeasurementLog log(file);
        const auto append = [&](double latency_ms, double anchor_ms) {
            CandidateMeasurement one = measurement("d", latency_ms);
            one.anchor_ms = anchor_ms;
            CHECK(log.append(one));
            CHECK_FALSE(log.append(one));
        };
        append(4.0, 10.0);
        append(6.0, 15.0);
        append(5.0, std::numeric_limits<double>::quiet_NaN());
        std::ofstream(file, std::ios::app) << R"({"candidate": "c-1", "device": "d", "runs": 1, )"
                                              R"("origin": "x", "latency_ms": 1, "anchor_ms": -2})"
                                              "\n";
    }
    const MeasurementLog log(file);
    CHECK(log.unreadable() == 1);
    const std::string candidate = measurement("d", 1.0).candidate;
    CHECK(log.anchors_ms(candidate, "d") == std::vector<double>{10.0, 15.0});
    CHECK(log.anchors_ms(candidate, "e").empty());
    CHECK(log.latency_ms(candidate, "d") == 5.0);
    CHECK(log.latency_ms(candidate, "d", 20.0) == 8.0); // of 8, 8 and 5, which has no anchor
    CHECK(log.latency_ms(candidate, "d", std::numeric_limits<double>::quiet_NaN()) == 5.0);
}

TEST_CASE("a candidate's name tells graph, genome, batch and how it is measured apart, and is the "
          "same every time") {
    const network::Network quarter = network::make_network({.name = "mobilenet_v1", .width = 0.25});
    const std::string narrow = network::network_as_json(quarter);
    const std::string wide =
        network::network_as_json(network::make_network({.name = "mobilenet_v1", .width = 0.5}));
    network::Genome genome = network::SearchSpace(quarter, {}).unpruned();
    const std::string name = candidate_name(narrow, genome, 1);
    CHECK(name == "c-92532134eb38"); // measurements of years ago are filed by it
    CHECK(name == candidate_name(narrow, genome, 1, ""));
    const std::string sustained = candidate_name(narrow, genome, 1, "sustained 60 s");
    CHECK(sustained.size() == 14);
    CHECK(sustained != name);
    CHECK(sustained != candidate_name(narrow, genome, 1, "sustained 600 s"));
    CHECK(name != candidate_name(narrow, genome, 2));
    CHECK(name != candidate_name(narrow, genome, 1, "round 2"));
    CHECK(name != candidate_name(wide, genome, 1));
    --genome[0];
    CHECK(name != candidate_name(narrow, genome, 1));
}
