#include "hdap/storage/hdf5.hpp"
#include "hdap/storage/sealed_file.hpp"
#include "imported.hpp"
#include "support/temporary_folder.hpp"

#include <catch2/catch.hpp>

#include <cmath>
#include <fstream>
#include <span>

using namespace hdap;
using namespace hdap::fleet;
using namespace hdap::fleet::test;

namespace {

using Names = std::vector<std::string>;

std::string bytes_of(storage::Hdf5Writer& file) {
    const auto bytes = file.finish();
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

std::string table(const Names& devices, const Names& benchmarks, const std::string& latency,
                  const std::vector<double>& values, const storage::Shape& shape) {
    storage::Hdf5Writer file;
    file.write_strings("/device_id", devices);
    file.write_strings("/benchmark", benchmarks);
    file.write<double>(latency, values, shape);
    return bytes_of(file);
}

} // namespace

TEST_CASE("HDF5: tables that cannot be used are refused with the data set") {
    const Names two{"a", "b"};
    const std::vector<std::pair<std::string, std::string>> cases = {
        {table(two, two, "/speed", {1, 2, 3, 4}, {2, 2}), "no data set of latencies"},
        {table(two, two, "/latency", {1, 2, 3, 4}, {2, 2}), "does not tell its unit"},
        {table(two, two, "/latency_ms", {1, 2, 3, 4}, {1, 4}), "/device_id has not the length"},
        {table(two, two, "/latency_ms", {1, 2, 3, 4}, {4, 1}), "/device_id has not the length"},
        {table(two, two, "/latency_ms", {1}, {1, 1, 1, 1}), "has 4 dimensions"},
        {table({"a", ""}, two, "/latency_ms", {1, 2, 3, 4}, {2, 2}), "/device_id holds ''"},
        {table(two, two, "/latency_ms", {NAN, NAN, NAN, NAN}, {2, 2}), "only NaN"},
        {table(two, two, "/latency_ms", {-1, 0, INFINITY, 1e300}, {2, 2}),
         "4 of 4 lines cannot be used"},
        {"\x89HDF\r\n\x1a\n" + std::string(100, 'x'), "file"},
        {table(two, two, "/latency_ms", {1, 2, 3, 4}, {2, 2}).substr(0, 900), "file"},
    };
    for (const auto& [text, message] : cases) {
        CHECK_THROWS_AS(imported(text, {}), core::DataError);
        CHECK_THROWS_WITH(imported(text, {}), Catch::Contains(message));
    }
    CHECK_THROWS_AS(imported(table(two, two, "/latency_ms", {1, 2, 3, 4}, {2, 2}),
                             with_unit(LatencyUnit::seconds)),
                    core::UsageError);
}

TEST_CASE("HDF5: a matrix of devices and benchmarks, and of runs") {
    const Names devices{"a", "b"};
    const Names benchmarks{"r", "s"};
    const Imported flat =
        imported(table(devices, benchmarks, "/latency_us", {1000, 2000, 3000, 4000}, {2, 2}), {});
    CHECK(flat.fleet.device_ids == devices);
    CHECK(flat.fleet.benchmark_names == benchmarks);
    CHECK(flat.fleet.latency_ms == std::vector<double>{1, 2, 3, 4});
    CHECK(flat.fleet.origins.at(0).unit == "us");
    const Imported runs = imported(table(devices, benchmarks, "/latency_ms",
                                         {1, 2, 9, 3, 3, NAN, 4, 4, 5, 7, 8, 9}, {2, 2, 3}),
                                   {});
    CHECK(runs.fleet.latency_ms == std::vector<double>{2, 3, 4, 8});
    CHECK(runs.report.runs == 11);
    CHECK(runs.report.rows == 11);
}

TEST_CASE("HDF5: columns of equal length, and what else they tell") {
    storage::Hdf5Writer file;
    file.write_strings("/device_id", Names{"a", "b", "a", "a"});
    file.write_strings("/benchmark", Names{"r", "r", "r", "r"});
    file.write<std::int64_t>("/run", {0, 0, 1, 1});
    file.write<float>("/latency", {0.5F, 0.25F, 1.5F, 7.0F});
    file.attribute("/latency", "unit", "s");
    file.write<double>("/gpu_mhz", {900, 800, 1100, 1000});
    file.write_strings("/firmware", Names{"1", "2", "1", "1"});
    file.write<double>("/elsewhere/x", {1, 2, 3, 4});
    const Imported columns = imported(bytes_of(file), {});
    CHECK(columns.fleet.latency_ms == std::vector<double>{1000, 250});
    CHECK(columns.report.rejected_rows == 1);
    CHECK(columns.report.rejected[0].first_places[0] == "file:4");
    REQUIRE(columns.fleet.attributes.size() == 1);
    CHECK(columns.fleet.attributes[0].unit == "MHz");
    CHECK(columns.fleet.attributes[0].values == std::vector<double>{1000, 800});
    REQUIRE(columns.fleet.labels.size() == 1);
    CHECK(columns.fleet.labels[0].values == Names{"1", "2"});
}

TEST_CASE("HDF5: numbers as device ids, and names from options") {
    storage::Hdf5Writer file;
    file.write<std::int64_t>("/device_id", {356938035643809, 17});
    file.write<double>("/latency_ms", {1, 2});
    ImportRequest request;
    request.benchmark = "r";
    CHECK(imported(bytes_of(file), request).fleet.device_ids == Names{"356938035643809", "17"});
}

TEST_CASE("HDF5: a file that is cut is refused, wherever") {
    const std::string whole = table({"a", "b"}, {"r", "s"}, "/latency_ms", {1, 2, 3, 4}, {2, 2});
    for (std::size_t bytes = 8; bytes < whole.size(); bytes += 41)
        CHECK_THROWS_AS(imported(whole.substr(0, bytes), {}), core::DataError);
}

TEST_CASE("HDF5: a seal that is there must fit") {
    const hdap::test::TemporaryFolder folder;
    const std::string whole = table({"a", "b"}, {"r", "s"}, "/latency_ms", {1, 2, 3, 4}, {2, 2});
    storage::write_sealed(folder / "t.h5", std::as_bytes(std::span(whole)));
    const ImportRequest request{.source = folder / "t.h5", .sku = "board"};
    CHECK(import_telemetry(request).latency_ms == std::vector<double>{1, 2, 3, 4});
    std::fstream file(folder / "t.h5", std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(2000) << "x";
    file.close();
    CHECK_THROWS_AS(import_telemetry(request), core::DataError);
}
