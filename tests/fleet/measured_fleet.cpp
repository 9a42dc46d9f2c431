#include "hdap/fleet/measured_fleet.hpp"

#include "hdap/core/error.hpp"

#include <catch2/catch.hpp>

#include <cmath>
#include <functional>

using namespace hdap;
using namespace hdap::fleet;
using Catch::Matchers::Contains;

namespace {

/// Devices named `ids`, whose latencies are all different; `offset` shifts them.
MeasuredFleet measured_fleet(const std::vector<std::string>& ids, double offset = 0.0) {
    MeasuredFleet measured;
    measured.fleet.sku = "board";
    measured.fleet.device_ids = ids;
    measured.fleet.benchmark_names = {"unpruned", "pruned-1"};
    measured.fleet.benchmark_genomes = {{8, 16, 32}, {4, 8, 16}};
    measured.benchmarks = {.network = "net", .batch = 4};
    measured.parameters = {.rounds = 4, .runs = 3};
    for (std::size_t i = 0; i < ids.size() * 4 * 2; ++i)
        measured.round_latency_ms.push_back(offset + 1.0 + static_cast<double>(i));
    for (std::size_t i = 0; i < ids.size(); ++i) {
        const auto latencies = latency_estimates(rounds_of_device(measured, i), 2, 0.25);
        measured.fleet.latency_ms.insert(measured.fleet.latency_ms.end(), latencies.begin(),
                                         latencies.end());
        HostConditions& conditions = measured.conditions.emplace_back();
        conditions.host = "host-of-" + ids[i];
        conditions.isa_limit = "AVX2";
        conditions.threads = static_cast<std::int32_t>(i + 1);
        conditions.load_average_end = 0.5;
    }
    return measured;
}

storage::Hdf5Reader written(const MeasuredFleet& measured) {
    storage::Hdf5Writer writer;
    write_measured_fleet(writer, measured);
    return storage::Hdf5Reader::from_bytes(writer.finish(), "fleet.h5");
}

} // namespace

TEST_CASE("A measured fleet reads back as written", "[measured_fleet]") {
    const MeasuredFleet measured = measured_fleet({"a", "b", "c"});
    const auto file = written(measured);
    CHECK(is_measured(file));
    const MeasuredFleet read = read_measured_fleet(file);
    CHECK(read.fleet.device_ids == measured.fleet.device_ids);
    CHECK(read.fleet.latency_ms == measured.fleet.latency_ms);
    CHECK(read.benchmarks.network == "net");
    CHECK(read.benchmarks.batch == 4);
    CHECK(read.fleet.benchmark_genomes == measured.fleet.benchmark_genomes);
    CHECK(read.parameters.rounds == 4);
    CHECK(read.parameters.runs == 3);
    CHECK(read.parameters.quantile == 0.25);
    CHECK(read.round_latency_ms == measured.round_latency_ms);
    CHECK(read.conditions[2].host == "host-of-c");
    CHECK(read.conditions[2].isa_limit == "AVX2");
    CHECK(read.conditions[2].threads == 3);
    CHECK(read.conditions[2].load_average_end == 0.5);
    CHECK(std::isnan(read.conditions[2].temperature_c_end));
}

TEST_CASE("A measured fleet is a fleet, with its reliability beside it", "[measured_fleet]") {
    const MeasuredFleet measured = measured_fleet({"a", "b"});
    const auto file = written(measured);
    CHECK(read_fleet(file).latency_ms == measured.fleet.latency_ms);
    const auto difference = file.read<double>("/measurement/split_half_median_difference", {2});
    CHECK(difference[1] == reliability_of_device(measured, 1).median_difference);
}

TEST_CASE("A fleet that hdap did not measure is told from one that it did", "[measured_fleet]") {
    storage::Hdf5Writer writer;
    write_fleet(writer, measured_fleet({"a"}).fleet);
    const auto file = storage::Hdf5Reader::from_bytes(writer.finish(), "theirs.h5");
    CHECK_FALSE(is_measured(file));
    CHECK_THROWS_WITH(read_measured_fleet(file), Contains("theirs.h5: is not a fleet that"));
}

TEST_CASE("Broken measured fleets are refused", "[measured_fleet]") {
    const auto refused = [](const std::function<void(MeasuredFleet&)>& break_it,
                            const std::string& message) {
        MeasuredFleet measured = measured_fleet({"a", "b"});
        break_it(measured);
        CHECK_THROWS_WITH(read_measured_fleet(written(measured)), Contains(message));
    };
    refused([](auto& m) { m.round_latency_ms[5] = -1.0; }, "/rounds/latency_ms holds -1");
    refused([](auto& m) { m.fleet.latency_ms[0] = std::nan(""); }, "/latency_ms lacks latencies");
    refused([](auto& m) { m.fleet.benchmark_genomes.clear(); }, "lacks /benchmark_genomes");
    refused([](auto& m) { m.parameters.runs = 0; }, "fleet.h5: runs is 0");
    refused([](auto& m) { m.conditions.clear(); }, "/measurement/host");
}

TEST_CASE("Devices are added behind those that are there", "[measured_fleet]") {
    MeasuredFleet measured = measured_fleet({"a", "b"});
    const MeasuredFleet more = measured_fleet({"c"}, 100.0);
    add_devices(measured, more, Remeasured::refuse, "fleet.h5");
    CHECK(measured.fleet.device_ids == std::vector<std::string>{"a", "b", "c"});
    CHECK(measured.fleet.latency_ms[4] == more.fleet.latency_ms[0]);
    CHECK(rounds_of_device(measured, 2)[7] == 108.0);
    CHECK(measured.conditions[2].host == "host-of-c");
    CHECK_NOTHROW(check_fleet(measured.fleet, "fleet"));
}

TEST_CASE("A device is measured anew only when asked for", "[measured_fleet]") {
    MeasuredFleet measured = measured_fleet({"a", "b"});
    const MeasuredFleet again = measured_fleet({"c", "a"}, 100.0);
    CHECK_THROWS_WITH(add_devices(measured, again, Remeasured::refuse, "fleet.h5"),
                      Contains("fleet.h5: device 'a' is in it already"));
    CHECK(measured.fleet.devices() == 2); // not even c was added
    add_devices(measured, again, Remeasured::replace, "fleet.h5");
    CHECK(measured.fleet.device_ids == std::vector<std::string>{"a", "b", "c"});
    CHECK(rounds_of_device(measured, 0)[0] == 109.0);
    CHECK(rounds_of_device(measured, 1)[0] == 9.0);
    CHECK(measured.conditions[0].threads == 2);
}

TEST_CASE("Devices that ran something else are not added", "[measured_fleet]") {
    const auto refused = [](const std::function<void(MeasuredFleet&)>& change,
                            const std::string& message) {
        MeasuredFleet measured = measured_fleet({"a"});
        MeasuredFleet other = measured_fleet({"b"});
        change(other);
        CHECK_THROWS_WITH(add_devices(measured, other, Remeasured::replace, "fleet.h5"),
                          Contains("fleet.h5 and the new devices differ in " + message));
    };
    refused([](auto& m) { m.fleet.sku = "tablet"; }, "SKU: 'board' there, 'tablet' here");
    refused([](auto& m) { m.benchmarks.network = "other"; }, "network: 'net'");
    refused([](auto& m) { m.benchmarks.batch = 8; }, "batch: '4' there, '8' here");
    refused([](auto& m) { m.fleet.benchmark_names[1] = "x"; }, "benchmarks: 'unpruned, pruned-1'");
    refused([](auto& m) { m.parameters.rounds = 2; }, "rounds: '4'");
    refused([](auto& m) { m.parameters.runs = 5; }, "runs: '3'");
    refused([](auto& m) { m.parameters.quantile = 0.5; }, "quantile: '0.25'");
    refused([](auto& m) { m.fleet.benchmark_genomes[0][0] = 7; },
            "the channels that the benchmarks keep");
}
