#include "hdap/fleet/fleet.hpp"

#include "hdap/core/error.hpp"

#include <catch2/catch.hpp>

#include <functional>
#include <limits>

using namespace hdap;
using namespace hdap::fleet;

namespace {

Fleet small_fleet() {
    Fleet fleet;
    fleet.sku = "board";
    fleet.device_ids = {"a", "b", "µ-3"};
    fleet.benchmark_names = {"resnet", "bert"};
    fleet.latency_ms = {1.0, 2.0, 1.1, 2.2, 0.9, 1.8};
    fleet.conditions.resize(3);
    fleet.conditions[1].silicon = 0.97;
    fleet.conditions[1].power_mode = 1;
    fleet.conditions[1].gpu_clock_factor = 0.8;
    fleet.conditions[1].memory_clock_factor = 0.9;
    fleet.conditions[1].launch_factor = 1.3;
    fleet.conditions[1].background_load = 0.2;
    fleet.conditions[1].driver_version = 4;
    fleet.conditions[1].kind_efficiency = {0.9, 0.8, 0.7, 0.6, 0.5};
    fleet.conditions[1].ageing = 0.01;
    fleet.conditions[1].noise_sigma = 0.02;
    return fleet;
}

Fleet round_trip(const Fleet& fleet) {
    storage::Hdf5Writer writer;
    write_fleet(writer, fleet);
    return read_fleet(storage::Hdf5Reader::from_bytes(writer.finish(), "fleet.h5"));
}

/// A file with the parts of `fleet` as they are, valid or not.
storage::Hdf5Reader raw_file(const Fleet& fleet, const storage::Shape& shape) {
    storage::Hdf5Writer writer;
    writer.attribute("/", "sku", fleet.sku);
    writer.write_strings("/device_id", fleet.device_ids);
    writer.write_strings("/benchmark", fleet.benchmark_names);
    writer.write("/latency_ms", fleet.latency_ms, shape);
    return storage::Hdf5Reader::from_bytes(writer.finish(), "fleet.h5");
}

} // namespace

TEST_CASE("a fleet that breaks a rule is refused with place and value") {
    using Change = std::function<void(Fleet&)>;
    const std::vector<std::pair<Change, std::string>> changes = {
        {[](Fleet& f) { f.device_ids[1] = "a"; }, "'a' occurs twice"},
        {[](Fleet& f) { f.device_ids[1] = ""; }, "device_id 1"},
        {[](Fleet& f) { f.device_ids[1] = "x\ny"; }, "device_id 1"},
        {[](Fleet& f) { f.device_ids[1] = std::string(300, 'x'); }, "device_id 1"},
        {[](Fleet& f) { f.benchmark_names[1] = "resnet"; }, "'resnet' occurs twice"},
        {[](Fleet& f) { f.sku.clear(); }, "sku"},
        {[](Fleet& f) { f.latency_ms[3] = 0.0; }, "device 'b' on 'bert' is 0"},
        {[](Fleet& f) { f.latency_ms[3] = std::numeric_limits<double>::quiet_NaN(); }, "nan"},
        {[](Fleet& f) { f.latency_ms[3] = std::numeric_limits<double>::infinity(); }, "inf"},
        {[](Fleet& f) { f.latency_ms[3] = 1e300; }, "in milliseconds"},
        {[](Fleet& f) { f.latency_ms.pop_back(); }, "5 latencies"},
        {[](Fleet& f) { f.conditions.pop_back(); }, "2 conditions"},
        {[](Fleet& f) { f.conditions[2].ageing = -1.0; }, "device 'µ-3': ageing"},
        {[](Fleet& f) { f = Fleet{}; }, "no devices"},
        {[](Fleet& f) { f.benchmark_names.clear(); }, "no benchmarks"},
    };
    for (const auto& [change, message] : changes) {
        Fleet fleet = small_fleet();
        change(fleet);
        CHECK_THROWS_AS(check_fleet(fleet, "here"), core::DataError);
        CHECK_THROWS_WITH(check_fleet(fleet, "here"),
                          Catch::StartsWith("here") && Catch::Contains(message));
    }
    CHECK_NOTHROW(check_fleet(small_fleet(), "here"));
}

TEST_CASE("a fleet survives a round trip, with and without conditions") {
    Fleet fleet = small_fleet();
    const Fleet read = round_trip(fleet);
    CHECK(read.sku == fleet.sku);
    CHECK(read.device_ids == fleet.device_ids);
    CHECK(read.benchmark_names == fleet.benchmark_names);
    CHECK(read.latency_ms == fleet.latency_ms);
    REQUIRE(read.conditions.size() == 3);
    for (std::size_t i = 0; i < 3; ++i) {
        const DeviceCondition& a = read.conditions[i];
        const DeviceCondition& b = fleet.conditions[i];
        CHECK(a.silicon == b.silicon);
        CHECK(a.power_mode == b.power_mode);
        CHECK(a.gpu_clock_factor == b.gpu_clock_factor);
        CHECK(a.memory_clock_factor == b.memory_clock_factor);
        CHECK(a.launch_factor == b.launch_factor);
        CHECK(a.background_load == b.background_load);
        CHECK(a.driver_version == b.driver_version);
        CHECK(a.kind_efficiency == b.kind_efficiency);
        CHECK(a.ageing == b.ageing);
        CHECK(a.noise_sigma == b.noise_sigma);
    }
    fleet.conditions.clear();
    CHECK(round_trip(fleet).conditions.empty());
}

TEST_CASE("a file that is no fleet is a DataError that names it") {
    Fleet fleet = small_fleet();
    CHECK_NOTHROW(read_fleet(raw_file(fleet, {3, 2})));
    CHECK_THROWS_AS(read_fleet(raw_file(fleet, {2, 3})), core::DataError);
    CHECK_THROWS_AS(read_fleet(raw_file(fleet, {6})), core::DataError);
    fleet.latency_ms[0] = -1.0;
    CHECK_THROWS_WITH(read_fleet(raw_file(fleet, {3, 2})), Catch::Contains("fleet.h5"));
    storage::Hdf5Writer empty;
    const auto nothing = storage::Hdf5Reader::from_bytes(empty.finish(), "fleet.h5");
    CHECK_THROWS_AS(read_fleet(nothing), core::DataError);
    storage::Hdf5Writer partial;
    Fleet measured = small_fleet();
    measured.conditions.clear();
    write_fleet(partial, measured);
    partial.write<double>("/conditions/silicon", {1.0, 1.0, 1.0});
    const auto half = storage::Hdf5Reader::from_bytes(partial.finish(), "fleet.h5");
    CHECK_THROWS_AS(read_fleet(half), core::DataError);
}
