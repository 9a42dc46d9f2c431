#include "hdap/fleet/fleet.hpp"

#include "hdap/core/error.hpp"

#include <catch2/catch.hpp>

#include <cmath>
#include <functional>
#include <limits>

using namespace hdap;
using namespace hdap::fleet;

namespace {

constexpr double unknown = std::numeric_limits<double>::quiet_NaN();
constexpr double infinity = std::numeric_limits<double>::infinity();

Fleet small_fleet() {
    Fleet fleet;
    fleet.sku = "board";
    fleet.device_ids = {"a", "b", "µ-3"};
    fleet.benchmark_names = {"resnet", "bert"};
    fleet.latency_ms = {1.0, 2.0, 1.1, 2.2, 0.9, 1.8};
    fleet.benchmark_genomes = {{8, 16}, {4, 16}};
    fleet.attributes = {{"clock", "MHz", {900.0, 920.5, unknown}}, {"silicon", "1", {1, 0.97, 1}}};
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
        {[](Fleet& f) { f.spreads.resize(6), f.spreads[3].quantile_ms[1] = 0.0F; },
         "device 'b' on 'bert'"},
        {[](Fleet& f) { f.spreads.resize(6), f.spreads[3].quantile_ms[3] = HUGE_VALF; },
         "device 'b' on 'bert'"},
        {[](Fleet& f) { f.spreads.resize(6), f.spreads[3].runs = -1; }, "device 'b' on 'bert'"},
        {[](Fleet& f) { f.spreads.resize(5); }, "5 spreads"},
        {[](Fleet& f) { f.latency_ms[2] = f.latency_ms[3] = unknown; }, "device 'b' has no"},
        {[](Fleet& f) { f.latency_ms[1] = f.latency_ms[3] = f.latency_ms[5] = unknown; },
         "benchmark 'bert' has no"},
        {[](Fleet& f) { f.latency_ms.assign(6, unknown); }, "has no latency"},
        {[](Fleet& f) { f.latency_ms[3] = infinity; }, "inf"},
        {[](Fleet& f) { f.latency_ms[3] = 1e300; }, "in milliseconds"},
        {[](Fleet& f) { f.latency_ms.pop_back(); }, "5 latencies"},
        {[](Fleet& f) { f.attributes[1].name = "clock"; }, "attribute 'clock' occurs twice"},
        {[](Fleet& f) { f.attributes[1].name = "a/b"; }, "slash"},
        {[](Fleet& f) { f.attributes[1].name.clear(); }, "attribute 1"},
        {[](Fleet& f) { f.attributes[0].unit.clear(); }, "attribute 'clock' has no unit"},
        {[](Fleet& f) { f.attributes[0].values.pop_back(); }, "2 values for 3 devices"},
        {[](Fleet& f) { f.attributes[0].values[1] = infinity; }, "of device 'b' is inf"},
        {[](Fleet& f) { f.benchmark_genomes.pop_back(); }, "1 benchmark genomes for 2 benchmarks"},
        {[](Fleet& f) { f.benchmark_genomes[1] = {4}; }, "'bert' has 1 pruning group,"},
        {[](Fleet& f) { f.benchmark_genomes[1][0] = 0; }, "'bert' keeps 0 channels"},
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

TEST_CASE("a fleet survives a round trip, with and without attributes and genomes") {
    Fleet fleet = small_fleet();
    const Fleet read = round_trip(fleet);
    CHECK(read.sku == fleet.sku);
    CHECK(read.device_ids == fleet.device_ids);
    CHECK(read.benchmark_names == fleet.benchmark_names);
    CHECK(read.latency_ms == fleet.latency_ms);
    CHECK(read.benchmark_genomes == fleet.benchmark_genomes);
    REQUIRE(read.attributes.size() == 2);
    CHECK(read.attributes[0].name == "clock");
    CHECK(read.attributes[0].unit == "MHz");
    CHECK(read.attributes[0].values[1] == 920.5);
    CHECK(std::isnan(read.attributes[0].values[2]));
    CHECK(read.attributes[1] == fleet.attributes[1]);
    fleet.attributes.clear();
    fleet.benchmark_genomes.clear();
    CHECK(round_trip(fleet).attributes.empty());
    CHECK(round_trip(fleet).benchmark_genomes.empty());
}

TEST_CASE("a latency that is missing stays so in a file, and no other is changed") {
    Fleet fleet = small_fleet();
    CHECK(missing_latencies(fleet) == 0);
    CHECK(measured_latencies(fleet, 1) == std::vector<double>{2.0, 2.2, 1.8});
    fleet.latency_ms[3] = fleet.latency_ms[4] = unknown;
    const Fleet read = round_trip(fleet);
    CHECK(missing_latencies(read) == 2);
    CHECK(measured_latencies(read, 0) == std::vector<double>{1.0, 1.1});
    CHECK(measured_latencies(read, 1) == std::vector<double>{2.0, 1.8});
    CHECK(std::isnan(read.latency_ms[3]));
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
}

TEST_CASE("labels survive a round trip, however many values they have") {
    Fleet fleet = small_fleet();
    fleet.labels = {{"mode", {"15W", "", "15W"}}, {"region", {"north", "north", "north"}}};
    CHECK(round_trip(fleet).labels == fleet.labels);
    Fleet large = small_fleet();
    large.device_ids.clear();
    large.latency_ms.assign(600, 1.0);
    large.attributes.clear();
    large.labels = {{"serial", {}}};
    for (int i = 0; i < 300; ++i) {
        large.device_ids.push_back(std::to_string(i));
        large.labels[0].values.push_back(std::to_string(300 - i));
    }
    CHECK(round_trip(large).labels == large.labels);
}

TEST_CASE("a value of a label is stored once, with a code for each device") {
    Fleet fleet = small_fleet();
    fleet.labels = {{"mode", {"15W", "10W", "15W"}}};
    storage::Hdf5Writer writer;
    write_fleet(writer, fleet);
    const auto file = storage::Hdf5Reader::from_bytes(writer.finish(), "fleet.h5");
    CHECK(file.read_strings("/labels/mode/value") == std::vector<std::string>{"10W", "15W"});
    CHECK(file.read<std::uint8_t>("/labels/mode/code") == std::vector<std::uint8_t>{1, 0, 1});
}

TEST_CASE("labels may be strings in a file, and codes of no value are refused") {
    const auto with = [](const std::function<void(storage::Hdf5Writer&)>& add) {
        const Fleet fleet = small_fleet();
        storage::Hdf5Writer writer;
        writer.attribute("/", "sku", fleet.sku);
        writer.write_strings("/device_id", fleet.device_ids);
        writer.write_strings("/benchmark", fleet.benchmark_names);
        writer.write("/latency_ms", fleet.latency_ms, {3, 2});
        add(writer);
        return read_fleet(storage::Hdf5Reader::from_bytes(writer.finish(), "fleet.h5"));
    };
    using Texts = std::vector<std::string>;
    const auto coded = [&](const Texts& values, const std::vector<std::int32_t>& codes) {
        return with([&](storage::Hdf5Writer& writer) {
            writer.write_strings("/labels/mode/value", values);
            writer.write("/labels/mode/code", codes);
        });
    };
    const Fleet plain = with([](storage::Hdf5Writer& writer) {
        writer.write_strings("/labels/mode", Texts{"15W", "", "10W"});
    });
    CHECK(plain.labels == std::vector<DeviceLabel>{{"mode", {"15W", "", "10W"}}});
    CHECK(coded({"", "10W", "15W"}, {2, 0, 1}).labels == plain.labels);
    CHECK_THROWS_WITH(coded({"a"}, {0, 1, 0}), Catch::Contains("device 1 has the value 1 of 1"));
    CHECK_THROWS_WITH(coded({"a"}, {0, 0, -1}), Catch::Contains("device 2 has the value -1 of 1"));
    CHECK_THROWS_WITH(coded({"a"}, {0, 0}), Catch::Contains("/labels/mode/code"));
    CHECK_THROWS_WITH(coded({std::string(300, 'x')}, {0, 0, 0}), Catch::Contains("256"));
    CHECK_THROWS_AS(with([](storage::Hdf5Writer& writer) { writer.group("/labels/mode"); }),
                    core::DataError);
}

TEST_CASE("an attribute or genomes of another shape are refused") {
    Fleet plain = small_fleet();
    plain.attributes.clear();
    plain.benchmark_genomes.clear();
    const auto read_with = [&](const std::function<void(storage::Hdf5Writer&)>& add) {
        storage::Hdf5Writer file;
        write_fleet(file, plain);
        add(file);
        return read_fleet(storage::Hdf5Reader::from_bytes(file.finish(), "fleet.h5"));
    };
    const auto write_clock = [](storage::Hdf5Writer& file, const std::vector<double>& values) {
        file.write("/attributes/clock", values);
        file.attribute("/attributes/clock", "unit", std::string("MHz"));
    };
    CHECK(read_with([&](auto& file) { write_clock(file, {1, 2, 3}); }).attributes.size() == 1);
    CHECK_THROWS_AS(read_with([&](auto& file) { write_clock(file, {1, 2}); }), core::DataError);
    CHECK_THROWS_WITH(read_with([](auto& file) {
                          file.template write<double>("/attributes/x", {1, 2, 3});
                      }),
                      Catch::Contains("fleet.h5") && Catch::Contains("unit"));
    CHECK_THROWS_WITH(read_with([](auto& file) {
                          file.template write<std::int32_t>("/benchmark_genomes", {1, 2});
                      }),
                      Catch::Contains("/benchmark_genomes has 1 dimension,"));
}
